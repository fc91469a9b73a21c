"""What goes on in a thread of its own while a test looks at something else."""

import threading
from types import TracebackType
from typing import Self


class Background:
    """A context manager: `run` goes on until the block ends, which sets `stop`. What it raises rises again in the test's
    thread: at the end of the block, or at `check`."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._guarded, daemon=True)

    def run(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop.set()
        self._thread.join()
        if error is None:
            self.check()

    def check(self) -> None:
        if self._error is not None:
            raise self._error

    def _guarded(self) -> None:
        try:
            self.run()
        except BaseException as error:  # noqa: BLE001 - see the class
            self._error = error
