"""When the machine lets no new job begin, and when it does again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.core.conditions import (
    AGAIN,
    LEDGER,
    MEDIA_DISK,
    MEDIA_QUOTA,
    MEMORY,
    OWN_DISKS,
    Holds,
    Limits,
    Measures,
    Place,
    Space,
    holds,
)

LIMITS = Limits(disk=500_000_000, memory=100_000_000)
LEDGER_DISK = OWN_DISKS["ledger"]
TERABYTE = 10**12


def media(free: int, *, device: int = 1) -> Place:
    return Place(MEDIA_DISK, "/srv/media", Space(free, TERABYTE, device))


def ledger(free: int, *, total: int = TERABYTE, device: int = 2) -> Place:
    return Place(LEDGER_DISK, "/var/state", Space(free, total, device))


def placed(*places: Place, memory: int | None = None, before: Holds | None = None) -> Holds:
    return holds(Measures(places, memory=memory), LIMITS, before or {})


def test_a_machine_with_room_holds_nobody() -> None:
    assert placed(media(500_000_000), ledger(100_000_000), memory=100_000_000) == {}


def test_too_little_disk_is_said_with_figures_and_what_to_do() -> None:
    assert placed(media(499_000_000)) == {
        MEDIA_DISK: "/srv/media: 499 MB free, 500 MB are needed (min_free_disk); "
        "make room, jobs begin again at 600 MB"
    }


def test_too_little_memory_is_said_with_figures_and_what_to_do() -> None:
    assert placed(memory=99_000_000)[MEMORY].startswith(
        "99 MB of memory available, 100 MB are needed (min_free_memory); "
    )


def test_results_that_take_their_quota_hold_until_a_sixth_of_it_is_free() -> None:
    limits = Limits(quota=60_000_000_000)

    def full(stored: int | None, before: Holds) -> Holds:
        return holds(Measures(stored=stored), limits, before)

    held = full(60_000_000_000, {})

    assert held == {
        MEDIA_QUOTA: "results take 60.0 GB, 60.0 GB are allowed (media.quota); "
        "remove some, or keep them for less time (media.keep); jobs begin again at 50.0 GB"
    }
    assert full(50_100_000_000, held) == held
    assert full(50_000_000_000, held) == {}
    assert full(59_999_999_999, {}) == {}
    assert full(None, {}) == {}


@pytest.mark.parametrize(("free", "is_held"), [(599_999_999, True), (600_000_000, False)])
def test_a_hold_is_lifted_a_fifth_above_the_limit(free: int, *, is_held: bool) -> None:
    before = placed(media(1))

    assert placed(media(free), before=before) == (before if is_held else {})


def test_the_reason_stays_as_it_was_while_the_figures_move() -> None:
    before = placed(media(1_000), memory=5_000_000)

    assert placed(media(300_000_000), memory=7_000_000, before=before) == before


@pytest.mark.parametrize(
    ("free", "total", "is_held"),
    [
        (100_000_000, TERABYTE, False),
        (99_999_999, TERABYTE, True),
        (6_400_000, 64_000_000, False),
        (6_399_999, 64_000_000, True),
    ],
)
def test_our_own_files_need_less_on_a_disk_of_their_own(
    free: int, total: int, *, is_held: bool
) -> None:
    found = placed(media(TERABYTE), ledger(free, total=total))

    assert (LEDGER_DISK in found) is is_held


def test_one_disk_is_one_reason() -> None:
    assert list(placed(media(1), ledger(1, device=1))) == [MEDIA_DISK]


def test_a_disk_that_does_not_answer_holds_until_it_does() -> None:
    silent = Place(MEDIA_DISK, "/srv/media", "has not answered for 3 s")
    before = placed(silent, ledger(TERABYTE))

    assert before[MEDIA_DISK].startswith("/srv/media: has not answered for 3 s; see")
    assert placed(media(TERABYTE), before=before) == {}


def test_without_limits_only_the_ledger_matters() -> None:
    measures = Measures([media(0), ledger(0)], memory=0, ledger="ledger.db: full")

    assert holds(measures, Limits(), {}) == {LEDGER: "ledger.db: full"}


def test_memory_that_nobody_can_measure_is_no_reason() -> None:
    assert placed(memory=None) == {}


@given(st.lists(st.integers(0, 10**9)))
def test_between_the_limits_nothing_changes(frees: list[int]) -> None:
    before: Holds = {}
    for free in frees:
        after = placed(media(free), before=before)

        if LIMITS.disk <= free < int(LIMITS.disk * AGAIN):
            assert after == before
        else:
            assert (MEDIA_DISK in after) is (free < LIMITS.disk)
        before = after
