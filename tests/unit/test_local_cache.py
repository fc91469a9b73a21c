"""What lies in the cache folder is complete, or is made again."""

import threading
from pathlib import Path

import pytest

from cdc.local.cache import cache_folder, complete, filled
from cdc.model.errors import LocalServerError


@pytest.mark.parametrize(
    ("environ", "folder"),
    [
        ({"CDC_CACHE": "/a", "XDG_CACHE_HOME": "/b", "HOME": "/c"}, "/a"),
        ({"XDG_CACHE_HOME": "/b", "HOME": "/c"}, "/b/lockstep-cdc"),
        ({"XDG_CACHE_HOME": "not/absolute", "HOME": "/c"}, "/c/.cache/lockstep-cdc"),
        ({"CDC_CACHE": "", "HOME": "/c"}, "/c/.cache/lockstep-cdc"),
    ],
)
def test_where_the_cache_is(environ: dict[str, str], folder: str) -> None:
    assert cache_folder(environ) == Path(folder)


class Filler:
    def __init__(self, fail: bool = False) -> None:
        self.calls = 0
        self.fail = fail

    def __call__(self, folder: Path) -> None:
        self.calls += 1
        (folder / "deep").mkdir()
        (folder / "deep/file").write_text("content")
        if self.fail:
            raise LocalServerError("no network", hint="none")


def test_a_complete_folder_is_not_filled_again(tmp_path: Path) -> None:
    fill = Filler()
    assert filled(tmp_path, "x", fill) == filled(tmp_path, "x", fill) == tmp_path / "x"
    assert fill.calls == 1


def test_a_failed_fill_leaves_nothing_at_the_name(tmp_path: Path) -> None:
    with pytest.raises(LocalServerError, match="no network"):
        filled(tmp_path, "x", Filler(fail=True))
    assert [path.name for path in tmp_path.iterdir()] == [".x.lock"]
    assert (filled(tmp_path, "x", Filler()) / "deep/file").read_text() == "content"


@pytest.mark.parametrize("damage", ["missing", "cut", "no manifest", "broken manifest"])
def test_a_half_filled_folder_is_found_out_and_made_again(tmp_path: Path, damage: str) -> None:
    fill = Filler()
    folder = filled(tmp_path, "x", fill)
    file, manifest = folder / "deep/file", folder / ".complete.json"
    {
        "missing": file.unlink,
        "cut": lambda: file.write_text("cont"),
        "no manifest": manifest.unlink,
        "broken manifest": lambda: manifest.write_text('{"files": '),
    }[damage]()
    assert not complete(folder)
    (tmp_path / ".x.999.part").mkdir()
    assert filled(tmp_path, "x", fill) == folder
    assert fill.calls == 2
    assert file.read_text() == "content"
    assert not (tmp_path / ".x.999.part").exists()


def test_two_at_once_fill_it_once(tmp_path: Path) -> None:
    begun, go_on = threading.Event(), threading.Event()
    fill = Filler()

    def slow(folder: Path) -> None:
        begun.set()
        assert go_on.wait(10)
        fill(folder)

    first = threading.Thread(target=filled, args=(tmp_path, "x", slow))
    second = threading.Thread(target=filled, args=(tmp_path, "x", slow))
    first.start()
    assert begun.wait(10)
    second.start()
    go_on.set()
    first.join()
    second.join()
    assert fill.calls == 1


def test_a_folder_that_cannot_be_written_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LocalServerError, match="CDC_CACHE"):
        filled(tmp_path / "file/below", "x", Filler())
