"""Findings of `cdc check`, for tests that make one set-up worse at a time."""

from collections.abc import Iterable, Sequence

from cdc.model.finding import Finding

# What `cdc local`'s servers have on purpose: they need outlive no power cut (cdc.local.mysql, .postgresql, .redis_server).
OF_LOCAL_SERVERS = frozenset(
    {
        ("source", "sync_binlog"),
        ("source", "innodb_flush_log_at_trx_commit"),
        ("queue", "persistence"),
        ("target", "durability"),
    }
)


def is_of_local_servers(part: str, subject: str) -> bool:
    return (part.split(maxsplit=1)[0].replace("sink", "target"), subject) in OF_LOCAL_SERVERS


def not_fine(findings: Iterable[Finding], part: str) -> list[Finding]:
    """Those that are not ok, but for what local servers have on purpose."""
    return [one for one in findings if one.level != "ok" and not is_of_local_servers(part, one.subject)]


def about(findings: Iterable[Finding], subject: str, level: str | None = None) -> list[Finding]:
    """The findings of a subject, of a level where one is given; each that is not ok has its fix, on one line."""
    found = [one for one in findings if one.subject == subject and level in (None, one.level)]
    assert all("\n" not in one.text + one.fix and bool(one.fix) == (one.level != "ok") for one in found), found
    return found


def only(findings: Iterable[Finding], subject: str, level: str) -> Finding:
    """The one finding of the subject that is not ok."""
    listed: Sequence[Finding] = [*findings]
    (found,) = [one for one in about(listed, subject) if one.level != "ok"] or [None]
    assert found is not None, listed
    assert found.level == level, found
    return found
