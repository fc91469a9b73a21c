"""Keeps the leases of one process alive, and tells their holders when they must stop.

A lease is liveness, never safety: a holder that is stopped and wakes after its lease finds its writes refused by the
token checks at what it writes. Here it only learns early that it should not try.
"""

import os
import socket
import threading
import time
import uuid
from collections.abc import Callable

from cdc.coordination.port import Coordination, Lease
from cdc.model.errors import CdcError, CoordinationUnavailable, LeaseLost
from cdc.observe.logs import fields, get_logger

log = get_logger(__name__)


def worker_name() -> str:
    """`host:pid:` and something that no other process, also after a restart, has: who holds a lease, for people."""
    return f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:6]}"


class Held:
    """One lease while it is being kept."""

    def __init__(self, lease: Lease) -> None:
        self.lease = lease
        self.handover = False
        self.lost = False

    @property
    def token(self) -> int:
        return self.lease.token

    def valid(self) -> bool:
        """Whether the holder may go on: its own deadline, on the monotonic clock, has not passed."""
        return not self.lost and time.monotonic() < self.lease.deadline

    def require(self) -> None:
        """Raises LeaseLost where `valid` is false."""
        if not self.valid():
            raise LeaseLost(
                f"the lease of {self.lease.resource} (token {self.token}) is lost",
                hint="nothing to do: the work goes on with whoever holds it now",
            )


class LeaseKeeper:
    """One thread that renews every held lease four times in its length. Use as a context manager."""

    def __init__(self, coordination: Coordination, lease_seconds: float) -> None:
        self._coordination = coordination
        self._lease_seconds = lease_seconds
        self._held: set[Held] = set()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lease-keeper", daemon=True)

    def __enter__(self) -> "LeaseKeeper":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        for held in list(self._held):
            self.release(held)

    def acquire(self, resource: str, owner: str, *, floor: int = 0) -> Held | None:
        lease = self._coordination.acquire(resource, owner, self._lease_seconds, floor=floor)
        if lease is None:
            return None
        held = Held(lease)
        with self._lock:
            self._held.add(held)
        return held

    def release(self, held: Held) -> None:
        """Gives the lease back; where that cannot be said it runs out by itself."""
        with self._lock:
            self._held.discard(held)
        try:
            self._coordination.release(held.lease)
        except CdcError as error:
            log.debug("could not release a lease", extra=fields(action="lease.release_failed", error=str(error)))

    def wait(
        self, resource: str, floor: Callable[[], int], stop: threading.Event, *, beat: Callable[[], None]
    ) -> Held | None:
        """Stands by until the lease is ours, or `stop` is set (then None). `beat` is called at every turn.

        `floor` is only asked for when the lease looks free. One owner's name for all attempts: should the answer to one be
        lost, the next finds itself the holder.
        """
        owner = worker_name()
        waiting = False
        while not stop.is_set():
            beat()
            try:
                holder = self._coordination.holders().get(resource)
                if holder is None or holder.owner == owner:
                    held = self.acquire(resource, owner, floor=floor())
                    if held is not None:
                        return held
            except CoordinationUnavailable as error:
                log.warning("cannot ask for the lease", extra=fields(action="lease.unavailable", error=str(error)))
            if not waiting:
                log.info("standing by", extra=fields(action="lease.standby", resource=resource))
                waiting = True
            stop.wait(min(self._lease_seconds / 4, 1.0))
        return None

    def _run(self) -> None:
        while not self._stop.wait(self._lease_seconds / 4):
            with self._lock:
                held = list(self._held)
            for one in held:
                if not one.lost:
                    self._renew(one)

    def _renew(self, held: Held) -> None:
        try:
            renewed = self._coordination.renew(held.lease, self._lease_seconds)
            if renewed is None:
                held.lost = True
                log.warning(
                    "lost the lease",
                    extra=fields(action="lease.lost", resource=held.lease.resource, token=held.token),
                )
                return
            held.lease = renewed
            held.handover = self._coordination.handover_asked(held.lease.resource)
        except CdcError as error:
            # Not lost yet: the deadline that was measured before the last request still holds.
            log.warning("cannot renew the lease", extra=fields(action="lease.renew_failed", error=str(error)))
