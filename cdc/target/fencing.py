"""What every adapter says to a worker whose lane somebody else has."""

from cdc.model.errors import Fenced


def fenced(lane: str, token: int, stored: int) -> Fenced:
    return Fenced(
        f"lane {lane} is held with token {stored}, ours is {token}: nothing was written",
        hint="another worker has taken it over; this one queues up for a lease again",
        stored=stored,
    )
