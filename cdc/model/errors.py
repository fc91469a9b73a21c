"""The one error tree: each leaf is retryable or fatal, and each carries what to do next.

CdcError
├── RetryableError            a later attempt may succeed; the pipeline backs off and tries again
│   ├── SourceUnavailable     the source does not answer, or the stream broke
│   ├── QueueUnavailable      the queue does not answer
│   ├── TargetUnavailable     the target does not answer, is read-only or full
│   ├── TargetBusy            a deadlock or a lock wait timeout: the transaction was rolled back
│   ├── CoordinationUnavailable   Redis (or what stands in for it) does not answer
│   ├── SinkBehind            a sink does not come to the place in the binlog that is waited for
│   ├── LeaseLost             the lease could not be renewed in time: stop, and queue up for it again
│   └── Fenced                somebody with a higher token has taken over: nothing was written
└── FatalError                needs a person; the process stops
    ├── UsageError            a wrong command line (exit status 2)
    │   └── ConnectorFileError    file, line and key of what is wrong in a connector file
    ├── MissingExtra          an optional driver is not installed
    ├── SourceRefused         the source refuses us, or is set up so that it cannot be read safely
    ├── SourceChanged         reset, restored, or another server than the one of the checkpoint
    ├── PositionError         purged, beyond the end, inside an event
    ├── BinlogDamaged         a wrong checksum, a truncated event, an incident: a gap in the binlog
    ├── NotUnderstood         an event, type or schema that is not understood
    ├── TableRefused          a table that cannot be kept in step (no primary key, …)
    ├── QueueRefused          the queue refuses us, or is set up so that it may lose entries
    ├── Gap                   messages are missing between what was applied and what the queue still has
    ├── PoisonMessage         a message in the queue that is not one of ours, or damaged
    ├── TargetRefused         the target refuses us (rights, missing table or column)
    │   └── RowRefused        the target refuses a row's values (constraint, range, encoding)
    ├── CoordinationRefused   Redis refuses us, or may evict our keys
    └── LocalServerError      a private try-out server could not be had or started
"""

from typing import ClassVar


class CdcError(Exception):
    """`message` says what happened, in one line; `hint` what to do next."""

    retryable: ClassVar[bool]
    exit_status: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} — {self.hint}"

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.__dict__))


def _rebuild(cls: type[CdcError], state: dict[str, object]) -> CdcError:
    """Errors cross process borders; keyword-only arguments need their own way back."""
    error = cls.__new__(cls)
    Exception.__init__(error, state["message"])
    error.__dict__.update(state)
    return error


class RetryableError(CdcError):
    """A later attempt may succeed."""

    retryable = True


class SourceUnavailable(RetryableError):
    """The source does not answer, or the stream broke."""


class QueueUnavailable(RetryableError):
    """The queue does not answer."""


class TargetUnavailable(RetryableError):
    """The target does not answer, is read-only or full."""


class TargetBusy(RetryableError):
    """A deadlock or a lock wait timeout; the transaction was rolled back."""


class CoordinationUnavailable(RetryableError):
    """Redis, or what stands in for it, does not answer."""


class SinkBehind(RetryableError):
    """A sink does not come to the place in the binlog that is waited for."""


class LeaseLost(RetryableError):
    """The lease could not be renewed in time; the holder stops and queues up for it again."""


class Fenced(RetryableError):
    """Somebody with a higher token has taken over; nothing was written.

    `stored` is the token found at the store.
    """

    def __init__(self, message: str, *, hint: str, stored: int = 0) -> None:
        super().__init__(message, hint=hint)
        self.stored = stored


class FatalError(CdcError):
    """Needs a person; the process stops."""

    retryable = False


class UsageError(FatalError):
    """A wrong command line."""

    exit_status = 2


class ConnectorFileError(UsageError):
    """`file`, 1-based `line` and dotted `key` of what is wrong in a connector file."""

    def __init__(self, message: str, *, hint: str, file: str, line: int | None, key: str) -> None:
        super().__init__(message, hint=hint)
        self.file = file
        self.line = line
        self.key = key

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        key = f" {self.key}:" if self.key else ""
        return f"{place}:{key} {self.message} — {self.hint}"


class MissingExtra(FatalError):
    """An optional driver is not installed."""


class SourceRefused(FatalError):
    """The source refuses us, or is set up so that it cannot be read safely."""


class SourceChanged(FatalError):
    """The source was reset or restored, or is another server than the one of the checkpoint."""


class PositionError(FatalError):
    """A position that was purged, lies beyond the end, or inside an event."""


class BinlogDamaged(FatalError):
    """A wrong checksum, a truncated event or an incident: the binlog has a gap here."""


class NotUnderstood(FatalError):
    """An event, a type or a schema that is not understood; names position, table and column."""


class TableRefused(FatalError):
    """A table that cannot be kept in step."""


class QueueRefused(FatalError):
    """The queue refuses us, or is set up so that it may lose entries."""


class Gap(FatalError):
    """Messages are missing between what was applied and what the queue still has."""


class PoisonMessage(FatalError):
    """A message in the queue that is not one of ours, or damaged."""


class TargetRefused(FatalError):
    """The target refuses us: rights, a missing table or column."""


class RowRefused(TargetRefused):
    """The target refuses a row's values: constraint, range, encoding."""


class CopyRefused(FatalError):
    """What was asked of the reader about a table's rows cannot be done."""


class CoordinationRefused(FatalError):
    """Redis refuses us, or may evict our keys."""


class LocalServerError(FatalError):
    """A private try-out server could not be had or started."""
