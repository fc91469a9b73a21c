"""What lies in a lane, in messages: exactly for a run's own bundles, and never too little for those of runs before."""

from hypothesis import given
from hypothesis import strategies as st

from cdc.queue.redis_backlog import Backlog

runs = st.lists(
    st.tuples(st.lists(st.one_of(st.just(1), st.integers(2, 9)), max_size=6), st.integers(0, 8)), min_size=1, max_size=8
)


@given(st.lists(st.integers(1, 9), max_size=4), runs)
def test_the_messages_of_a_lane_are_counted(before: list[int], run: list[tuple[list[int], int]]) -> None:
    left = sum(before) - len(before)
    backlog = Backlog(left)
    old, own = list(before), list[int]()
    for sent, trimmed in run:
        backlog.send(len(sent), [(place, rows) for place, rows in enumerate(sent) if rows > 1])
        own += sent
        assert backlog.more >= sum(old + own) - len(old + own)
        lane = (old + own)[trimmed:]
        old, own = old[trimmed:], own[max(0, trimmed - len(old)) :]
        found = backlog.messages(len(lane))
        if old:
            assert sum(lane) <= found <= left + sum(own) + len(old)
        else:
            assert found == sum(lane)
        assert found == len(lane) + backlog.more
