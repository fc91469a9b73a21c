"""Logs: one line on stderr for each record, a sentence for people and an `action` with fields for machines.

The actions are promised in docs/observability.md. Row values do not belong in records at the default level.
"""

import logging
import os
import re
import sys
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, Literal, TextIO

import orjson

Format = Literal["plain", "json"]
Level = Literal["debug", "info", "warning", "error"]

_ROOT: Final = "cdc"
_COLOURS: Final = {
    "DEBUG": "\x1b[2m",
    "INFO": "\x1b[32m",
    "WARNING": "\x1b[33m",
    "ERROR": "\x1b[31m",
    "CRITICAL": "\x1b[31m",
}
_RESET: Final = "\x1b[0m"

# Everything that a terminal or a line reader takes for more than text: C0, DEL, C1, line and paragraph separators, the
# controls of text direction, lone surrogates.
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_BARE: Final = re.compile(r"[\w.:/+*@#%,-]+")
_PASSWORD: Final = re.compile(r"(?<=://)([^\s:/@]*):[^\s/]*@")
_SECRET: Final = re.compile(r"([?&][\w-]*(?:password|passwd|secret|token)=)[^&\s]*", re.IGNORECASE)


def get_logger(name: str) -> logging.Logger:
    """The logger of a module: `get_logger(__name__)`; another name comes below `cdc`."""
    inside = name == _ROOT or name.startswith(f"{_ROOT}.")
    return logging.getLogger(name if inside else f"{_ROOT}.{name}")


def fields(action: str, **values: object) -> Mapping[str, object]:
    """For `extra=`: `log.info("took lane 2 with token 7", extra=fields("lane.taken", lane="2", token=7))`."""
    return {"action": action, "fields": values}


def configure(level: Level, format: Format, process: str, *, stream: TextIO | None = None) -> None:
    """Sends all records of this process to stderr (or `stream`), and replaces what an earlier call set.

    `process` names it in every line (`reader`, `sink-1`). Libraries speak from warnings on.
    """
    out = stream or sys.stderr
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        JsonFormatter(process) if format == "json" else PlainFormatter(process, colours=_coloured(out))
    )
    root = logging.getLogger()
    for old in [known for known in root.handlers if getattr(known, "of_lockstep", False)]:
        root.removeHandler(old)
    handler.of_lockstep = True  # type: ignore[attr-defined]
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.getLogger(_ROOT).setLevel(level.upper())


def redact(text: str) -> str:
    """Without passwords of URLs: a second net, for what a driver or a library put into its words."""
    return _SECRET.sub(r"\1***", _PASSWORD.sub(r"\1:***@", text))


def escape(text: str) -> str:
    """On one line and harmless to a terminal: control characters become \\n, \\x1b, \\u2028."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


class PlainFormatter(logging.Formatter):
    """`2026-11-23T05:00:00.123Z INFO reader  took lane 2  action=lane.taken lane=2`."""

    def __init__(self, process: str, *, colours: bool) -> None:
        super().__init__()
        self._process = process
        self._colours = colours

    def format(self, record: logging.LogRecord) -> str:
        pairs = " ".join(f"{name}={_bare_or_quoted(value)}" for name, value in _parts(record).items())
        level = f"{record.levelname:<7}"
        if self._colours:
            level = f"{_COLOURS.get(record.levelname, '')}{level}{_RESET}"
        return f"{_time(record)} {level} {self._process}  {escape(redact(record.getMessage()))}" + (
            pairs and f"  {pairs}"
        )


class JsonFormatter(logging.Formatter):
    """One JSON object a line: `ts`, `level`, `process`, `logger`, `message`, `action`, and the fields."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {name: _plain(value) for name, value in _parts(record).items()}
        line |= {
            "ts": _time(record),
            "level": record.levelname.lower(),
            "process": self._process,
            "logger": record.name,
            "message": _plain(record.getMessage()),
        }
        # What JSON may carry as it is can still end a line, or steer a terminal.
        return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", orjson.dumps(line).decode())


def _parts(record: logging.LogRecord) -> dict[str, object]:
    """The action, the fields, and what is known of an exception (its traceback only for who asked for debug records)."""
    parts: dict[str, object] = {}
    if action := getattr(record, "action", None):
        parts["action"] = action
    parts |= getattr(record, "fields", {})
    if record.exc_info and record.exc_info[1] is not None:
        error = record.exc_info[1]
        parts["error"] = f"{type(error).__name__}: {error}"
        if logging.getLogger(_ROOT).isEnabledFor(logging.DEBUG):
            parts["traceback"] = "".join(traceback.format_exception(error))
    return parts


def _plain(value: object) -> object:
    """What orjson can write: numbers as they are (integers beyond 64 bits as text), all else as redacted text."""
    if value is None or isinstance(value, bool | float) or (isinstance(value, int) and abs(value) < 2**63):
        return value
    return redact(str(value)).encode("utf-8", "backslashreplace").decode()


def _bare_or_quoted(value: object) -> str:
    text = escape(redact(str(value)))
    return text if _BARE.fullmatch(text) else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _coloured(stream: TextIO) -> bool:
    """https://no-color.org"""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
