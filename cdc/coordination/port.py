"""What the pipeline asks of coordination: leases with fencing tokens, members, marks. Liveness only: safety rests on the
token checks at what is written (DESIGN of guarantees: docs/guarantees.md). Suite: tests/contract/test_coordination.py.

Keys carry the hash tag `{connector}`. Errors: CoordinationUnavailable (again), CoordinationRefused (stop).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from cdc.model.finding import Finding


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on `resource` (`reader`, or `sink/lane`) until `deadline`.

    `token` grows with every lease granted. `deadline` is of time.monotonic(), measured from before it was asked for;
    past it the holder must have stopped.
    """

    resource: str
    owner: str
    token: int
    deadline: float


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lease now, as status shows it."""

    owner: str
    token: int
    expires_in_seconds: float


class Coordination(Protocol):
    """Thread-safe."""

    def acquire(self, resource: str, owner: str, lease_seconds: float, *, floor: int = 0) -> Lease | None:
        """The lease, or None while another owner holds it. Its token is above every one granted before *and* above `floor`
        (the highest token found at what is written: Redis may have forgotten). An owner who holds it already (its first
        answer was lost) gets the same token again, unless that is not above `floor`: then a new one. `owner` must be
        unique for each attempt to work: a process that lost its lease asks under a new name."""

    def renew(self, lease: Lease, lease_seconds: float) -> Lease | None:
        """The lease with a later deadline, or None where it is no longer held with this owner and token. Never acquires."""

    def release(self, lease: Lease) -> None:
        """Frees it if still held with this owner and token; else nothing. May be repeated."""

    def holders(self) -> Mapping[str, Holder]:
        """All leases of the connector that are held now, by resource."""

    def ask_handover(self, resource: str, seconds: float) -> None:
        """Asks the holder to end its work and release; forgotten after `seconds`."""

    def handover_asked(self, resource: str) -> bool: ...

    def join(self, group: str, member: str, alive_seconds: float) -> Mapping[str, float]:
        """Says that `member` of `group` (a sink's name) lives for `alive_seconds` more; returns the living members of the
        group, itself included, and the seconds each has left. Called again and again."""

    def leave(self, group: str, member: str) -> None: ...

    def mark(self, marks: Mapping[str, str]) -> None:
        """Merges values for people and metrics (`sink/lane`, `verify` → JSON); nothing that must be right rests on
        them: they may be lost with the store."""

    def marks(self) -> Mapping[str, str]: ...

    def ask(self, request: str, text: str) -> None:
        """Lays a request before the reader, under a name of its own. May be lost with the store: whoever asks sees that it is
        neither there nor answered, and asks again."""

    def asked(self) -> Mapping[str, str]:
        """Requests that nobody has answered yet, by name."""

    def answer(self, request: str, text: str) -> None:
        """Takes the request away and leaves an answer, for an hour at least."""

    def answered(self, request: str) -> str | None:
        """Its answer, if there is one."""

    def check(self) -> list[str]:
        """Looks whether it is fit: reachable, not evicting (`maxmemory-policy noeviction` or no maxmemory), scripts allowed.
        Returns lines for a person about what it found; raises CoordinationUnavailable or CoordinationRefused. For who is about to
        use it; writes a key that is gone at once."""

    def findings(self) -> Sequence[Finding]:
        """For `cdc check`: rights to each command, kind of server, eviction. Only reads. Raises CoordinationUnavailable or
        CoordinationRefused where it cannot be asked."""

    def close(self) -> None: ...
