"""Growth is seen, and what only sways is not taken for it."""

import pytest

from tests.chaos import steadiness
from tests.chaos.steadiness import Limits, Sample

MB = 1_000_000
LIMITS = Limits(growth=5 * MB, descriptors=4, zombie=4.0)


def _life(count: int = 100, pid: int = 1, **per_second: float) -> list[Sample]:
    """Return a sample each second; memory sways by 2 MB, descriptors by 3."""
    return [
        Sample(
            at=float(at),
            pid=pid,
            memory=int(80 * MB + at % 3 * MB + at * per_second.get("memory", 0)),
            descriptors=int(30 + at % 4 + at * per_second.get("descriptors", 0)),
        )
        for at in range(count)
    ]


def test_what_sways_is_steady() -> None:
    assert steadiness.examine(_life(), LIMITS) == ()


def test_memory_that_grows_is_seen() -> None:
    (found,) = steadiness.examine(_life(memory=0.1 * MB), LIMITS)

    assert found.startswith("memory grew by 7.")


def test_descriptors_that_leak_are_seen() -> None:
    (found,) = steadiness.examine(_life(descriptors=0.2), LIMITS)

    assert found.startswith("descriptors grew from")


@pytest.mark.parametrize(("seconds", "found"), [(4, 0), (6, 1)])
def test_a_zombie_that_stays_is_seen_and_one_that_passes_is_not(seconds: int, found: int) -> None:
    samples = _life()
    for at in range(50, 50 + seconds):
        samples[at] = Sample(float(at), 1, 80 * MB, 30, zombies=frozenset({4711}))

    assert len(steadiness.examine(samples, LIMITS)) == found


def test_only_the_longest_life_is_measured() -> None:
    young = _life(20, pid=7, memory=MB)

    assert steadiness.examine([*young, *_life()], LIMITS) == ()
    assert {one.pid for one in steadiness.longest_life([*young, *_life()])} == {1}


def test_too_few_samples_prove_nothing() -> None:
    assert steadiness.examine(_life(6), LIMITS) == (
        "only 5 samples of one life: nothing can be said",
    )
