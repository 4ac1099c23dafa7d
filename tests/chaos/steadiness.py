"""Whether a process that lives on stays the same: memory, descriptors, zombies. Pure."""

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

WARM_UP = 0.25  # of a life: imports, caches and pools fill


@dataclass(frozen=True, slots=True)
class Sample:
    """What one look at the coordinator showed, ``at`` seconds after the start."""

    at: float
    pid: int
    memory: int  # bytes
    descriptors: int
    zombies: frozenset[int] = frozenset()  # pids, anywhere below the guard


@dataclass(frozen=True, slots=True)
class Limits:
    """What still counts as the same."""

    growth: int = 20_000_000  # bytes, by the line through all samples, from its first to its last
    descriptors: int = 8  # more at the end than at the beginning: workers come and go
    zombie: float = 4.0  # seconds a dead process may wait to be buried
    warm_up: float = WARM_UP  # of the life, left out


def longest_life(samples: Sequence[Sample], warm_up: float = WARM_UP) -> tuple[Sample, ...]:
    """Return the samples of the process that lived longest, its warm-up left out."""
    lives = [tuple(life) for _, life in groupby(samples, key=lambda sample: sample.pid)]
    life = max(lives, key=lambda one: one[-1].at - one[0].at, default=())
    return life[int(len(life) * warm_up) :]


def growth(samples: Sequence[Sample]) -> float:
    """Return the bytes that memory grew by over the samples, by the line that fits them best."""
    moments = [sample.at for sample in samples]
    line = statistics.linear_regression(moments, [sample.memory for sample in samples])
    return line.slope * (moments[-1] - moments[0])


def examine(samples: Sequence[Sample], limits: Limits) -> tuple[str, ...]:
    """Return what did not stay the same, in words."""
    life = longest_life(samples, limits.warm_up)
    if len(life) < 8:
        return (f"only {len(life)} samples of one life: nothing can be said",)
    return (*_memory(life, limits), *_descriptors(life, limits), *_zombies(samples, limits))


def _memory(life: Sequence[Sample], limits: Limits) -> Iterator[str]:
    grown = growth(life)
    if grown > limits.growth:
        span = life[-1].at - life[0].at
        yield (
            f"memory grew by {grown / 1e6:.1f} MB in {span:.0f} s, to "
            f"{life[-1].memory / 1e6:.1f} MB; allowed are {limits.growth / 1e6:.0f} MB"
        )


def _descriptors(life: Sequence[Sample], limits: Limits) -> Iterator[str]:
    third = len(life) // 3
    before = statistics.median(sample.descriptors for sample in life[:third])
    after = statistics.median(sample.descriptors for sample in life[-third:])
    if after - before > limits.descriptors:
        yield f"descriptors grew from {before:.0f} to {after:.0f}"


def _zombies(samples: Sequence[Sample], limits: Limits) -> Iterator[str]:
    since: dict[int, float] = {}
    told: set[int] = set()
    for earlier, later in pairwise(samples):
        since = {pid: since.get(pid, earlier.at) for pid in earlier.zombies & later.zombies}
        for pid, first in since.items():
            if later.at - first > limits.zombie and pid not in told:
                told.add(pid)
                yield f"process {pid} has been a zombie for {later.at - first:.1f} s"
