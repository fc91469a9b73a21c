"""Random mutations of golden events, at both decoders, for a while: what makes no use of atheris, so that sanitizers can watch.

python -m tests.fuzz.equality SECONDS [SEED]
"""

import random
import sys
import time

from tests.fuzz import target


def main(seconds: float, seed: int) -> None:
    rng = random.Random(seed)
    noise = target.Noise(lambda most: rng.randint(0, most), rng.randbytes)
    sound = target.corpus()
    begin, count = time.monotonic(), 0
    while time.monotonic() - begin < seconds:
        try:
            target.decode(target.mutated(rng.choice(sound), noise))
        except BaseException:
            sys.stderr.write(f"seed {seed}, input {count}\n")
            raise
        count += 1
    sys.stderr.write(f"{count} inputs in {time.monotonic() - begin:.0f} seconds: the decoders are equal\n")


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else time.time_ns())
