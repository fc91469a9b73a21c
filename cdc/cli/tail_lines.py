"""`cdc tail` for people: who changed a row, when, in which transaction, and what it was before and after."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import click
import orjson

from cdc.model.change import Row, Value
from cdc.observe.logs import escape
from cdc.processes.look import RowSeen, TableSeen

_WORDS = {"c": "INSERT", "u": "UPDATE", "d": "DELETE", "r": "READ", "t": "TRUNCATE"}
_COLOURS = {"INSERT": "green", "UPDATE": "yellow", "READ": "cyan"}
_MOST_CHARACTERS = 500
_INDENT = "    "


@dataclass(frozen=True, slots=True)
class Shown:
    """One change. `key`, `new_key`: the same but for an update that changed the key; {} where there is none. `note`: of what has
    no row: the statement that altered a table."""

    commit_us: int
    transaction: str
    thread: int | None
    what: str
    table: str
    key: Row
    new_key: Row
    before: Row | None = None
    after: Row | None = None
    note: str = ""
    query: str | None = None


def of_row(seen: RowSeen) -> Shown:
    at, change = seen.transaction, seen.change
    key, new_key = change.key, change.new_key or change.key
    return Shown(
        at.commit_us,
        at.id,
        at.thread,
        _WORDS[change.op],
        seen.schema.name,
        key,
        new_key,
        change.before,
        change.after,
        query=seen.query,
    )


def of_table(seen: TableSeen) -> Shown:
    note = seen.change.ddl if seen.change else ""
    return Shown(
        seen.transaction.commit_us,
        seen.transaction.id,
        seen.transaction.thread,
        seen.what,
        seen.name,
        {},
        {},
        note=note,
    )


def of_message(key: bytes | None, value: bytes) -> Shown:
    """A change event or a marker as it lies in the queue."""
    event: dict[str, Any] = orjson.loads(value)
    source, marker = event["source"], event.get("marker")
    named = f"{source['db']}.{source['table'] or ''}".strip(".")
    what, note = _WORDS.get(event["op"], ""), ""
    if marker is not None and not what:
        content = marker["content"]
        change = content.get("change") or {}
        what = str(change.get("kind") or content.get("action") or marker["kind"]).upper()
        note = str(change.get("ddl") or f"lane {source['lane']}")
    columns: Row = orjson.loads(key) if key else {}
    return Shown(
        source["ts_us"],
        source["gtid"] or f"{source['file']}:{source['tx_pos']}",
        source["thread"],
        what,
        named,
        columns,
        columns,
        event["before"],
        event["after"],
        note,
        source["query"],
    )


def lines(shown: Shown, *, values: bool, coloured: bool) -> str:
    """A head, and a line for each column that changed. `values`: what they had too, not the columns' names alone."""
    return "\n".join(
        _coloured(line, shown.what) if coloured and not number else line for number, line in _drawn(shown, values)
    )


def _drawn(shown: Shown, values: bool) -> Iterator[tuple[int, str]]:
    parts = [_time(shown.commit_us), shown.transaction]
    if shown.thread is not None:
        parts.append(f"thread {shown.thread}")
    parts += [shown.what, escape(shown.table)]
    if shown.key:
        parts.append(_key(shown.key) + (f" → {_key(shown.new_key)}" if shown.new_key != shown.key else ""))
    if shown.note:
        parts.append(escape(shown.note))
    yield 0, "  ".join(parts)
    if shown.query:
        yield 1, f"{_INDENT}{escape(shown.query)}"
    yield from ((1, f"{_INDENT}{line}") for line in _columns(shown, values))


def _columns(shown: Shown, values: bool) -> Iterator[str]:
    before, after = shown.before or {}, shown.after or {}
    names = [name for name in {**before, **after} if _differ(before, after, name)]
    if not values:
        if shown.before and shown.after and names:
            yield "changed: " + ", ".join(map(escape, names))
        return
    width = max((len(escape(name)) for name in names), default=0)
    for name in names:
        had = _value(before[name]) if name in before else "(not in the binlog)"
        has = _value(after[name]) if name in after else ""
        told = has if shown.before is None else had if shown.after is None else f"{had} → {has}"
        yield f"{escape(name):<{width}}  {told}"


def _differ(before: Row, after: Row, name: str) -> bool:
    return name not in before or name not in after or before[name] != after[name]


def _value(value: Value) -> str:
    """As JSON, which tells NULL from "NULL" and 5 from "5"; on one line, cut where it is long."""
    text = "NULL" if value is None else escape(orjson.dumps(value).decode())
    return text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}… ({len(text)} characters)"


def _key(key: Row) -> str:
    return " ".join(f"{escape(name)}={_value(value)}" for name, value in key.items())


def _time(commit_us: int) -> str:
    if not commit_us:
        return "-"
    return datetime.fromtimestamp(commit_us / 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _coloured(head: str, what: str) -> str:
    return head.replace(what, click.style(what, fg=_COLOURS.get(what, "red"), bold=True), 1)
