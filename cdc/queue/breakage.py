"""What all adapters say of one and the same trouble, and the rule that a broken producer stays broken."""

from collections.abc import Callable, Sequence
from types import TracebackType

from cdc.model.change import Message
from cdc.model.compiled import PackedMessages
from cdc.model.errors import CdcError, Fenced, QueueRefused, QueueUnavailable


class Guard:
    """`with guard:` around each call of a producer: an error that leaves it is raised again by every later call.

    `on_break` is called once, with the first error.
    """

    def __init__(self, on_break: Callable[[], None] | None = None) -> None:
        self._on_break = on_break
        self.error: CdcError | None = QueueUnavailable("the producer is not open", hint="call open(token) first, once")

    def opening(self) -> None:
        self.error = None

    def closed(self) -> None:
        self.error = QueueUnavailable("the producer is closed", hint="open another one")

    def __enter__(self) -> None:
        if self.error is not None:
            raise self.error.with_traceback(None)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if error is None:
            return
        if self._on_break is not None and self.error is None:
            self._on_break()
        # A KeyboardInterrupt in the middle of a call leaves open how much of it arrived.
        interrupted = QueueUnavailable("the producer was interrupted", hint="open another one")
        self.error = error if isinstance(error, CdcError) else interrupted


def check_sizes(messages: Sequence[Message], max_message_bytes: int) -> None:
    """Raises QueueRefused for a value above the limit, before anything is sent."""
    if isinstance(messages, PackedMessages) and messages.largest <= max_message_bytes:
        return
    for message in messages:
        if len(message.value) > max_message_bytes:
            raise too_large(message.lane, len(message.value), f"queue.max_message_bytes is {max_message_bytes}")


def too_large(lane: str, size: int, limit: str) -> QueueRefused:
    """`size` 0: not known."""
    of = f" of {size} bytes" if size else ""
    return QueueRefused(
        f"a message{of} for lane {lane} is too large: {limit}",
        hint="raise that limit, or leave the large column out with source.exclude_columns",
    )


def fenced(token: int, stored: int) -> Fenced:
    return Fenced(
        f"the queue has seen the reader's token {stored}; token {token} is not above it",
        hint="another reader has taken over; this one may stand by for the lease",
        stored=stored,
    )


def lost(detail: str) -> QueueUnavailable:
    return QueueUnavailable(
        f"the queue lost what was stored: {detail}",
        hint="it was flushed, restored or failed over; a new producer goes on from what is left",
    )
