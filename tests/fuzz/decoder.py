"""A fuzzer for the decoder. Whatever the bytes are, the answer is rows or a typed error, soon and in little memory.

    python -m tests.fuzz.decoder -max_total_time=600

With atheris installed, mutation follows the decoder's branches, and the arguments are libFuzzer's; without it, the same target
gets random mutations, and `-max_total_time=SECONDS` and `-seed=N` are understood.
"""

import random
import resource
import signal
import sys
import time
from importlib import import_module
from importlib.util import find_spec
from types import FrameType
from typing import Any

SECONDS_EACH = 5
MEMORY_BYTES = 2 << 30


class TooSlow(BaseException):
    """Not an Exception, so that nothing on the way may take it for one of its own."""


def _too_slow(_number: int, _frame: FrameType | None) -> None:
    raise TooSlow(f"one input takes more than {SECONDS_EACH} seconds")


class Limits:
    """One input's time, from the process's own clock: a loaded machine makes no finding."""

    def __enter__(self) -> None:
        signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS_EACH)

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def _with_atheris(arguments: list[str]) -> None:
    import atheris

    with atheris.instrument_imports(include=["cdc.binlog.decoder"]):
        target, sound = _target()

    def one(raw: bytes) -> None:
        provider = atheris.FuzzedDataProvider(raw)
        with Limits():
            target.one_input(
                target.Noise(lambda most: provider.ConsumeIntInRange(0, most), provider.ConsumeBytes), sound
            )

    atheris.Setup([sys.argv[0], "-max_len=512", "-len_control=0", *arguments], one)
    atheris.Fuzz()


def _at_random(arguments: list[str]) -> None:
    target, sound = _target()
    given = dict(argument.lstrip("-").split("=", 1) for argument in arguments)
    seed = int(given.get("seed", time.time_ns()))
    rng = random.Random(seed)
    noise = target.Noise(lambda most: rng.randint(0, most), rng.randbytes)
    begin, count = time.monotonic(), 0
    while time.monotonic() - begin < float(given.get("max_total_time", 60)):
        try:
            with Limits():
                target.one_input(noise, sound)
        except BaseException:
            sys.stderr.write(f"-seed={seed}, input {count}\n")
            raise
        count += 1
    sys.stderr.write(f"{count} inputs in {time.monotonic() - begin:.0f} seconds: rows or typed errors only\n")


def _target() -> tuple[Any, Any]:
    """The module, imported late so that atheris can look into what it imports, and the golden events, which must be sound."""
    target = import_module("tests.fuzz.target")
    sound = target.corpus()
    for event in sound:
        assert target.decode(event) == "rows", event
    return target, sound


def main(arguments: list[str]) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    signal.signal(signal.SIGVTALRM, _too_slow)
    (_with_atheris if find_spec("atheris") else _at_random)(arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
