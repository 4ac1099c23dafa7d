"""Reading ``then`` of a pool, and what may be wrong with it only beside the other pools."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from consumers import chains
from consumers.chains import MOST_LEVELS, THEN, Step
from supervisor.config.document import plain
from supervisor.config.mistakes import did_you_mean
from supervisor.config.section import Section
from supervisor.config.settings import Pool
from supervisor.core.chains import type_fault

Pools = Mapping[str, Pool]
Way = tuple[str, ...]  # the names of pools, one after the other
Fault = tuple[str, str, str]  # the key below the pool, what is wrong, and the pool it is about


def read_then(pool: Section) -> tuple[Step, ...]:
    """Return what follows the jobs of a pool; everything wrong with it is noted in its line."""
    node = pool.node(THEN)
    if node is None:
        return ()
    try:
        said = msgspec.json.decode(msgspec.json.encode(plain(node)))
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        pool.wrong(THEN, f"cannot be sent as JSON: {error}")
        return ()
    steps, wrong = chains.read(said)
    for place, why in wrong:
        pool.wrong_inside(THEN, place, why)
    return () if wrong else steps


def faults(pool: Pool, pools: Pools) -> Iterator[Fault]:
    """Yield what is wrong with what follows a pool: it leads nowhere, or for ever."""
    for at, named, step in chains.places(pool.then, chains.written(pool.then)):
        if step.pool not in pools:
            hint = did_you_mean(step.pool, tuple(pools))
            yield named, f"names {step.pool}, which is no pool; {hint}", pool.name
            continue
        if why := type_fault(step, pools[step.pool]):
            yield f"{at}.type", why, step.pool
    circle = _circle(pool.name, pools)
    if circle:
        if circle.is_of(pool.name, pools):
            round_trip = " -> ".join(circle.way)
            what = f"never ends ({round_trip}); say then: [] in the step that is the last one"
            yield THEN, what, pool.name
        return
    way = _longest(pool.then, pools, {})
    if len(way) > MOST_LEVELS:
        steps = " -> ".join((pool.name, *way[: MOST_LEVELS + 1]))
        what = f"is {len(way)} levels deep ({steps}), at most {MOST_LEVELS} are allowed"
        yield THEN, what, pool.name


@dataclass(frozen=True, slots=True)
class _Circle:
    """A way that leads back to where it began, and the pools on it that say how it goes on."""

    way: Way
    turns: frozenset[str]

    def is_of(self, name: str, pools: Pools) -> bool:
        """Answer whether a pool is the one to be told: the first of them in the file."""
        return name == next(each for each in pools if each in self.turns)


def _onward(steps: Sequence[Step]) -> Iterator[Way]:
    """Yield the ways to pools whose own ``then`` says how it goes on."""
    for step in steps:
        if step.then is None:
            yield (step.pool,)
        else:
            yield from ((step.pool, *way) for way in _onward(step.then))


def _circle(name: str, pools: Pools) -> _Circle | None:
    """Return the way from a pool back to itself with the fewest turns, if there is one."""
    ways = [_Circle((name,), frozenset({name}))]
    seen: set[str] = set()
    while ways:
        before, ways = ways[0], ways[1:]
        pool = pools.get(before.way[-1])
        for onward in _onward(pool.then if pool else ()):
            following = onward[-1]
            after = _Circle((*before.way, *onward), before.turns | {following})
            if following == name:
                return after
            if following not in seen:
                seen.add(following)
                ways.append(after)
    return None


def _longest(steps: Sequence[Step], pools: Pools, known: dict[str, Way]) -> Way:
    """Return the longest way that steps begin; ``known`` are those of pools."""
    ways: list[Way] = [()]
    for step in steps:
        if step.then is not None:
            below = _longest(step.then, pools, known)
        else:
            below = _longest_of(step.pool, pools, known)
        ways.append((step.pool, *below))
    return max(ways, key=len)


def _longest_of(name: str, pools: Pools, known: dict[str, Way]) -> Way:
    if name not in known:
        known[name] = ()  # on a circle it comes here again; that is told of with the pools on it
        pool = pools.get(name)
        known[name] = _longest(pool.then if pool else (), pools, known)
    return known[name]
