"""Which files an archive has, by the URLs that name it."""

from pathlib import Path

import pytest

from cdc.binlog.archive.catalogue import Catalogue, following, head, urls_of
from cdc.model.errors import PositionError
from cdc.model.file_url import FileUrl, file_urls
from tests.support.archive_files import Written
from tests.unit.test_archive_event_file import unprivileged

NAMES = ("mysql-bin.000009", "mysql-bin.000010", "mysql-bin.000011")


def catalogue(*paths: Path | str) -> Catalogue:
    return Catalogue([FileUrl(str(path)) for path in paths])


def names(*paths: Path | str) -> list[str]:
    return [file.name for file in catalogue(*paths).listing().files]


def write(folder: Path, *names: str, **settings: int) -> Path:
    folder.mkdir(exist_ok=True)
    for name in names:
        Written(name, **settings).write(folder)
    return folder


def test_a_folder_has_its_binlogs_by_number_and_nothing_else(tmp_path: Path) -> None:
    folder = write(tmp_path / "a", "mysql-bin.1000000", "mysql-bin.999999", *NAMES)
    (folder / "mysql-bin.index").write_text("./mysql-bin.000009\n")
    (folder / "notes.txt").write_text("copied on Monday")
    (folder / "mysql-bin.000012").mkdir()
    assert names(folder) == [*NAMES, "mysql-bin.999999", "mysql-bin.1000000"]
    assert catalogue(folder).first().name == NAMES[0]
    assert catalogue(folder / NAMES[1], folder).first().name == NAMES[1]
    assert names(folder / NAMES[2], folder / NAMES[0]) == [NAMES[0], NAMES[2]]


def test_the_longer_of_two_copies_of_one_file_counts(tmp_path: Path) -> None:
    short, whole = Written(NAMES[0], flags=1), Written(NAMES[0])
    whole.truncation()
    for folder, file in (("monday", short), ("tuesday", whole), ("wednesday", short)):
        (tmp_path / folder).mkdir()
        file.write(tmp_path / folder)
    (found,) = catalogue(*sorted(tmp_path.iterdir())).listing().files
    assert found.path.parent.name == "tuesday"


def test_different_files_of_one_name_and_files_of_two_base_names_are_refused(tmp_path: Path) -> None:
    one = write(tmp_path / "one", *NAMES)
    other = write(tmp_path / "other", NAMES[0], created=1_600_000_000)
    with pytest.raises(PositionError, match=r"two different files of one name: .*one.*other"):
        names(one, other)
    Written("relay-bin.000001").write(one)
    with pytest.raises(PositionError, match="two base names"):
        names(one)


def test_an_empty_folder_and_compressed_copies_are_said(tmp_path: Path) -> None:
    folder = write(tmp_path / "a")
    assert names(folder) == []
    with pytest.raises(PositionError, match="has no binlog files"):
        catalogue(folder).first()
    (folder / "mysql-bin.000009.gz").write_bytes(b"\x1f\x8b")
    with pytest.raises(PositionError, match=r"compressed copies only \(mysql-bin\.000009\)") as caught:
        catalogue(folder).first()
    assert "uncompress" in caught.value.hint
    write(folder, *NAMES)
    assert catalogue(folder).listing().compressed == frozenset()


def test_paths_that_cannot_be_read_are_said(tmp_path: Path) -> None:
    with pytest.raises(PositionError, match=r"cannot be read on .*No such file"):
        names(tmp_path / "nowhere")
    folder = write(tmp_path / "a", *NAMES)
    folder.chmod(0)
    try:
        with unprivileged(), pytest.raises(PositionError, match=r"cannot be read on .*Permission denied"):
            names(folder)
    finally:
        folder.chmod(0o700)
    (tmp_path / "shopping list").write_text("milk")
    with pytest.raises(PositionError, match="has not the name of a binlog file"):
        names(tmp_path / "shopping list")
    with pytest.raises(PositionError, match="an offset in a folder"):
        Catalogue([FileUrl(str(folder), 4)]).listing()


def test_heads_and_the_next_name(tmp_path: Path) -> None:
    folder = write(tmp_path / "a", NAMES[0], server_id=7)
    found = head(catalogue(folder).first())
    assert (found.created, found.server_id, found.flavor, found.version) == (1_700_000_000, 7, "mysql", "9.7.0")
    assert following("mysql-bin.000009") == "mysql-bin.000010"
    assert following("a.b.999999") == "a.b.1000000"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("file:///b/mysql-bin.000042", [("/b/mysql-bin.000042", None)]),
        ("file:///b/mysql-bin.000042:1234", [("/b/mysql-bin.000042", 1234)]),
        ("file://localhost/b/", [("/b/", None)]),
        ("file:///a%2Cb%3A4/x, file:///c", [("/a,b:4/x", None), ("/c", None)]),
        ("file:///%C3%BC/", [("/ü/", None)]),
    ],
)
def test_urls(text: str, expected: list[tuple[str, int | None]]) -> None:
    assert [tuple(url) for url in file_urls(text)] == expected


@pytest.mark.parametrize("text", ["file:x", "file://host/x", "x", "file:///a,", "file:///a?b", "file:///a%00", ""])
def test_what_is_no_url_is_refused(text: str) -> None:
    with pytest.raises(PositionError, match="is not a file URL"):
        urls_of(text)
