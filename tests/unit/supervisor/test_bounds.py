"""The bounds that the description states are those that orders are held to."""

from supervisor import letters, orders, pools, queue_desk, timetables
from supervisor.api import bounds


def test_numbers_that_have_a_name_elsewhere_are_the_same() -> None:
    said = (
        bounds.MOST_WORKERS,
        bounds.LONGEST_ID,
        bounds.LONGEST_AGE,
        bounds.LONGEST_TTL,
        bounds.LONGEST_WHY,
        bounds.MOST_ATTEMPTS,
        bounds.MOST_CAUGHT_UP,
    )

    assert said == (
        pools.MOST,
        orders.LONGEST_ID,
        letters.LONGEST_AGE,
        orders.LONGEST_TTL,
        queue_desk.LONGEST_WHY,
        orders.MOST_ATTEMPTS,
        timetables.MOST_CAUGHT_UP,
    )
