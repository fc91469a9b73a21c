"""Who is stopped, who has taken over, and what the stopped one has written, seen from the target."""

from pathlib import Path

from tests.support.chaos import Chaos, Witness
from tests.support.pipeline import Process


def begin_with_tables(case: Chaos) -> Witness:
    """Lets a sink make the tables, and leaves with triggers on them and no sink."""
    first = case.alone("sink")
    case.until_equal()
    assert first.end() == 0, first.text()
    return Witness(case.target_url)


def stopped(process: Process) -> bool:
    """proc(5): the state follows the command in parentheses."""
    assert process.running, process.text()
    state = Path(f"/proc/{process.process.pid}/stat").read_text().rpartition(")")[2].split()[0]
    return state == "T"


def all_higher(before: dict[str, tuple[int, int]], now: dict[str, tuple[int, int]]) -> bool:
    return all(now[lane][0] > token for lane, (token, _) in before.items())


def of(witness: Witness, connections: set[int]) -> dict[int, int]:
    """What these connections have written, as far as it is committed."""
    return {connection: count for connection, count in witness.writers().items() if connection in connections}
