"""The bar of a look through a stretch of the binlog: bytes over several files, and nothing where nobody sees it."""

from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest

from cdc.binlog.files_between import bytes_between
from cdc.binlog.port import BinlogFile, Item, Passed
from cdc.cli import range_progress
from cdc.cli.range_progress import RangeProgress
from cdc.model.checkpoint import SourcePoint
from cdc.model.position import FilePosition

FILES = [BinlogFile("b.000001", 1000), BinlogFile("b.000002", 5000), BinlogFile("b.000003", 700)]


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


class Range:
    """What RangeProgress asks of cdc.wiring.looking_back.Range."""

    def __init__(self, to: FilePosition | None) -> None:
        self.begin = SourcePoint("s", "b.000001", 400)
        self.to = to
        self.asked: list[FilePosition] = []

    def items(self) -> Iterator[Item | None]:
        for file, offset in (("b.000001", 900), ("b.000002", 100), ("b.000002", 4000), ("b.000003", 500)):
            yield Passed(SourcePoint("s", file, offset), idle=False)
            yield None

    def bytes_up_to(self, position: FilePosition) -> int:
        self.asked.append(position)
        return bytes_between(FILES, self.begin.position, position)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setattr(range_progress, "_LONG_SECONDS", 0.0)
    monkeypatch.setattr(range_progress, "_POLL_SECONDS", 0.0)
    monkeypatch.setenv("TERM", "xterm")
    return Terminal()


def see(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the test itself: pytest's capture takes stderr anew between a fixture and its test."""
    monkeypatch.setattr("sys.stderr", terminal)


def test_the_bar_counts_bytes_over_files_and_asks_for_each_file_once(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    see(terminal, monkeypatch)
    looked_at: Any = Range(FilePosition("b.000003", 500))
    progress = RangeProgress(looked_at, "counting")
    counted: list[int] = []
    monkeypatch.setattr(
        progress, "_bytes", lambda position, real=progress._bytes: counted.append(got := real(position)) or got
    )
    assert len(list(progress.items())) == 8
    assert counted == [500, 700, 4600, 6100]
    # The end for the whole, and the beginning of each further file.
    assert looked_at.asked == [looked_at.to, FilePosition("b.000002", 0), FilePosition("b.000003", 0)]
    assert "counting" in terminal.getvalue()


def test_there_is_no_bar_without_an_end(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    see(terminal, monkeypatch)
    looked_at: Any = Range(None)
    assert len(list(RangeProgress(looked_at, "counting").items())) == 8
    assert terminal.getvalue() == ""


def test_who_writes_to_the_same_screen_takes_it_off(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    see(terminal, monkeypatch)
    looked_at: Any = Range(FilePosition("b.000003", 500))
    progress = RangeProgress(looked_at, "counting")
    items = progress.items()
    next(items)
    assert progress._bar is not None
    with progress.hidden():
        assert progress._bar is None
    items.close()  # type: ignore[attr-defined]
