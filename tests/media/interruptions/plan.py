"""Which job is interrupted how and when: a plan for every seed, the same each time."""

import random
from collections.abc import Iterator

from tests.media.interruptions.cases import PROCESSORS, Case
from tests.media.interruptions.rig import Blow, Way


def plan(processor: str, runs: int, seed: int) -> Iterator[tuple[Case, Blow]]:
    """Yield so many interruptions: every way in turn, and the jobs of the processor in turn."""
    chance = random.Random(f"{seed} {processor}")  # noqa: S311 - reproducible on purpose
    cases, ways = list(PROCESSORS[processor]), list(Way)
    for number in range(runs):
        if number % len(ways) == 0:  # otherwise a job might meet the same ways again and again
            chance.shuffle(ways)
        if number % len(cases) == 0:
            chance.shuffle(cases)
        yield cases[number % len(cases)], Blow.rolled(ways[number % len(ways)], chance)
