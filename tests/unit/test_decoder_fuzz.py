"""The decoder's fuzzer for a moment: it still fits the decoder, and finds nothing at once.

`python -m tests.fuzz.decoder` runs it longer."""

from random import Random

from tests.fuzz import target


def test_mutated_events_are_rows_or_typed_errors() -> None:
    seed = Random().getrandbits(64)
    rng = Random(seed)
    noise = target.Noise(lambda most: rng.randint(0, most), rng.randbytes)
    sound = target.corpus()
    for event in sound:
        assert target.decode(event) == "rows"
    for number in range(1500):
        try:
            target.one_input(noise, sound)
        except Exception as error:
            error.add_note(f"input {number} of Random({seed})")
            raise
