"""Log lines: one line each, whatever is in them; no password; what machines read."""

import io
import logging
from collections.abc import Iterator

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdc.observe.logs import Format, Level, configure, escape, fields, get_logger, redact

log = get_logger("reader")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root, own = logging.getLogger(), logging.getLogger("cdc")
    before = (root.handlers[:], root.level, own.level)
    yield
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    own.setLevel(before[2])


def started(format: Format = "plain", level: Level = "info", stream: io.StringIO | None = None) -> io.StringIO:
    stream = stream or io.StringIO()
    configure(level, format, "sink-1", stream=stream)
    return stream


def test_a_line_is_a_sentence_an_action_and_fields() -> None:
    out = started()
    log.info("took lane 2 with token 7", extra=fields("lane.taken", lane="2", token=7, seconds=0.25, why="it was free"))
    time, rest = out.getvalue().split(" ", 1)
    assert time.endswith("Z")
    assert len(time) == len("2026-11-23T05:00:00.123Z")
    assert rest == (
        'INFO    sink-1  took lane 2 with token 7  action=lane.taken lane=2 token=7 seconds=0.25 why="it was free"\n'
    )


def test_json_has_one_object_a_line() -> None:
    out = started("json")
    log.warning("took lane %d", 2, extra=fields("lane.taken", lane="2", token=7, far=2**70, none=None, key=b"x"))
    log.info("plain")
    first, second = (orjson.loads(line) for line in out.getvalue().splitlines())
    assert first.pop("ts").endswith("Z")
    assert first == {
        "level": "warning",
        "process": "sink-1",
        "logger": "cdc.reader",
        "message": "took lane 2",
        "action": "lane.taken",
        "lane": "2",
        "token": 7,
        "far": str(2**70),
        "none": None,
        "key": "b'x'",
    }
    assert second["message"] == "plain"


def test_a_field_cannot_pose_as_the_message() -> None:
    out = started("json")
    log.info("true", extra=fields("x", message="forged", level="forged", ts="forged"))
    line = orjson.loads(out.getvalue())
    assert (line["message"], line["level"]) == ("true", "info")


HOSTILE = "a\nINFO forged\r\x1b[2J\x00\x7f\x85\u2028\u2029\u202e\ud800\U0001f98a\t"


@pytest.mark.parametrize("format", ["plain", "json"])
def test_hostile_text_stays_on_one_line(format: Format) -> None:
    out = started(format)
    log.info("table %s", HOSTILE, extra=fields("table.seen", table=HOSTILE))
    text = out.getvalue()
    assert text.splitlines() == [text.removesuffix("\n")]
    assert text.removesuffix("\n").isprintable()
    assert "\U0001f98a" in text
    text.encode()


@given(st.text())
def test_an_escaped_text_is_one_line_of_what_can_be_shown(text: str) -> None:
    shown = escape(text)
    assert len(shown.splitlines()) <= 1
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 or 0xD800 <= ord(c) < 0xE000 for c in shown)


@given(st.text(), st.sampled_from(["plain", "json"]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_field_gives_one_line(text: str, format: Format) -> None:
    out = started(format)
    log.info("seen", extra=fields("seen", text=text))
    assert len(out.getvalue().splitlines()) == 1


@pytest.mark.parametrize("format", ["plain", "json"])
@pytest.mark.parametrize(
    "text",
    [
        "mysql://cdc:canary@h:3306/x",
        "redis://:canary@h/0",
        "cannot reach postgresql://u:can%20ary@h, giving up",
        "https://u:canary@weird@h/",
        "redis+sentinel://h/m?sentinel_password=canary&x=1",
        "postgresql://h/db?password=canary",
    ],
)
def test_passwords_of_urls_do_not_get_into_a_line(format: Format, text: str) -> None:
    out = started(format, "debug")
    log.info("opening %s", text, extra=fields("opening", url=text, error=ValueError(text)))
    try:
        raise ValueError(text)
    except ValueError:
        log.exception("failed", extra=fields("failed"))
    assert "canary" not in out.getvalue().replace("can%20ary", "canary")
    assert "***" in out.getvalue()


def test_what_is_no_password_stays() -> None:
    for text in ("shop@example.org", "redis://h:6379/0", "10:20:30 a@b", "token=7 lane=2"):
        assert redact(text) == text


def test_a_traceback_is_for_debug_only() -> None:
    for level, there in (("info", False), ("debug", True)):
        out = started("plain", level)
        try:
            raise KeyError("gone")
        except KeyError:
            log.exception("it failed", extra=fields("failed"))
        assert "error=\"KeyError: 'gone'\"" in out.getvalue()
        assert ("Traceback" in out.getvalue()) is there
        assert len(out.getvalue().splitlines()) == 1


def test_levels_and_libraries() -> None:
    out = started(level="warning")
    log.info("not this")
    log.warning("this")
    logging.getLogger("some.library").info("nor this")
    logging.getLogger("some.library").warning("but this")
    assert [line.split("  ")[-1] for line in out.getvalue().splitlines()] == ["this", "but this"]


def test_configuring_again_replaces() -> None:
    first, second = started(), started()
    log.info("once")
    assert first.getvalue() == ""
    assert second.getvalue().count("once") == 1


def test_colours_are_for_terminals_that_want_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    out = started(stream=Terminal())
    log.error("red")
    assert "\x1b[31m" in out.getvalue()
    for name, value in (("NO_COLOR", "1"), ("TERM", "dumb")):
        with monkeypatch.context() as changed:
            changed.setenv(name, value)
            out = started(stream=Terminal())
            log.error("plain")
            assert "\x1b" not in out.getvalue()
