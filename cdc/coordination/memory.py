"""Coordination inside one process: the twin of the Redis one, shared by all who open the same connector's name."""

import threading
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cdc.coordination.port import Holder, Lease
from cdc.model.finding import Finding


@dataclass(slots=True)
class _State:
    """What Redis would hold; `expires` and the ends of lives are of time.monotonic()."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    leases: dict[str, tuple[Lease, float]] = field(default_factory=dict)
    tokens: dict[str, int] = field(default_factory=dict)
    handovers: dict[str, float] = field(default_factory=dict)
    members: dict[str, dict[str, float]] = field(default_factory=lambda: defaultdict(dict))
    marks: dict[str, str] = field(default_factory=dict)
    requests: dict[str, str] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)

    def held(self, resource: str) -> Lease | None:
        lease, expires = self.leases.get(resource, (None, 0.0))
        return lease if expires > time.monotonic() else None


_states: dict[str, _State] = {}
_states_lock = threading.Lock()


class MemoryCoordination:
    """`Coordination` (port.py) for threads of one process."""

    def __init__(self, connector: str) -> None:
        with _states_lock:
            self._state = _states.setdefault(connector, _State())

    def acquire(self, resource: str, owner: str, lease_seconds: float, *, floor: int = 0) -> Lease | None:
        state, asked = self._state, time.monotonic()
        with state.lock:
            held = state.held(resource)
            if held is not None and held.owner != owner:
                return None
            if held is not None and held.token > floor:
                token = held.token
            else:
                token = max(floor, state.tokens.get(resource, 0), held.token if held else 0) + 1
                state.tokens[resource] = token
                state.handovers.pop(resource, None)
            return self._grant(Lease(resource, owner, token, asked + lease_seconds), lease_seconds)

    def renew(self, lease: Lease, lease_seconds: float) -> Lease | None:
        asked = time.monotonic()
        with self._state.lock:
            if not self._holds(lease):
                return None
            return self._grant(Lease(lease.resource, lease.owner, lease.token, asked + lease_seconds), lease_seconds)

    def release(self, lease: Lease) -> None:
        with self._state.lock:
            if self._holds(lease):
                del self._state.leases[lease.resource]

    def holders(self) -> Mapping[str, Holder]:
        with self._state.lock:
            now = time.monotonic()
            return {
                resource: Holder(lease.owner, lease.token, expires - now)
                for resource, (lease, expires) in self._state.leases.items()
                if expires > now
            }

    def ask_handover(self, resource: str, seconds: float) -> None:
        with self._state.lock:
            self._state.handovers[resource] = time.monotonic() + seconds

    def handover_asked(self, resource: str) -> bool:
        with self._state.lock:
            return self._state.handovers.get(resource, 0.0) > time.monotonic()

    def join(self, group: str, member: str, alive_seconds: float) -> Mapping[str, float]:
        with self._state.lock:
            now = time.monotonic()
            lives = {**self._state.members[group], member: now + alive_seconds}
            self._state.members[group] = {name: ends for name, ends in lives.items() if ends > now}
            return {name: ends - now for name, ends in self._state.members[group].items()}

    def leave(self, group: str, member: str) -> None:
        with self._state.lock:
            self._state.members[group].pop(member, None)

    def mark(self, marks: Mapping[str, str]) -> None:
        with self._state.lock:
            self._state.marks.update(marks)

    def marks(self) -> Mapping[str, str]:
        with self._state.lock:
            return dict(self._state.marks)

    def ask(self, request: str, text: str) -> None:
        with self._state.lock:
            self._state.requests[request] = text

    def asked(self) -> Mapping[str, str]:
        with self._state.lock:
            return dict(self._state.requests)

    def answer(self, request: str, text: str) -> None:
        with self._state.lock:
            self._state.requests.pop(request, None)
            self._state.answers[request] = text

    def answered(self, request: str) -> str | None:
        with self._state.lock:
            return self._state.answers.get(request)

    def check(self) -> list[str]:
        return ["in memory: for one process, gone when it ends"]

    def findings(self) -> Sequence[Finding]:
        return [Finding("ok", "version", line) for line in self.check()]

    def close(self) -> None:
        """Nothing to give back: what is held stays, as it would in Redis."""

    def forget(self) -> None:
        """Loses everything at once, as Redis does after FLUSHALL: for tests of what must hold even then."""
        with self._state.lock:
            for part in (self._state.leases, self._state.tokens, self._state.handovers):
                part.clear()
            self._state.members.clear()
            self._state.marks.clear()
            self._state.requests.clear()
            self._state.answers.clear()

    def _holds(self, lease: Lease) -> bool:
        held = self._state.held(lease.resource)
        return held is not None and (held.owner, held.token) == (lease.owner, lease.token)

    def _grant(self, lease: Lease, lease_seconds: float) -> Lease:
        self._state.leases[lease.resource] = (lease, time.monotonic() + lease_seconds)
        return lease
