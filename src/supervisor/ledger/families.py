"""A job with all that came of it, as people see it: a tree of bounded size, however large it is."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection

from supervisor.core.records import (
    FINAL,
    Branch,
    Chain,
    Family,
    JobFilter,
    JobRecord,
    JobState,
    Relative,
)
from supervisor.ledger import chains, listing
from supervisor.ledger.chains import Key

MOST_FAILED = 10  # jobs that are shown besides the tree, wherever in it they are

Below = Mapping[Key, Sequence[JobRecord]]  # who followed whom


def family(connection: Connection, job: JobRecord, *, limit: int, now: datetime) -> Family:
    """Return what came of a job, of which at most ``limit`` are shown one by one."""
    chain = chains.chain_of(connection, job.queue, job.id)
    if chain is None:
        chain, failed = _within(connection, job, now=now)
    else:
        failed = _failed(connection, job, now=now)
    found = _nearest(connection, job, limit=limit, now=now)
    below = tuple(_in_order(found, _key(job), depth=1))
    more = sum(chain.states.values()) - 1 - len(below)
    return Family(chain, below, max(0, more), failed)


def _failed(connection: Connection, first: JobRecord, *, now: datetime) -> tuple[JobRecord, ...]:
    """Return jobs of a whole chain that failed."""
    wanted = JobFilter(
        state=JobState.FAILED,
        limit=MOST_FAILED,
        root=Relative(first.queue, first.id),
        oldest=True,
    )
    return listing.find(connection, wanted, now=now)


def _within(
    connection: Connection, job: JobRecord, *, now: datetime
) -> tuple[Chain, tuple[JobRecord, ...]]:
    """Return how a part of a chain stands, and jobs of it that failed."""
    below = chains.descendants(connection, job.queue, job.id)
    states = Counter([job.state, *(each.state for each in below)])
    failed = [each.key for each in below if each.state is JobState.FAILED]
    if job.state is JobState.FAILED:
        failed.insert(0, _key(job))
    shown = (listing.one(connection, *key, now=now) for key in failed[:MOST_FAILED])
    return Chain(states, is_open=not states.keys() <= FINAL), tuple(shown)


def _nearest(connection: Connection, job: JobRecord, *, limit: int, now: datetime) -> Below:
    """Return the generations next to a job, each whole before the next, as far as there is room."""
    found: dict[Key, Sequence[JobRecord]] = {}
    seen, parents = {_key(job)}, [job]
    for parent in parents:  # which grows meanwhile
        if limit <= 0:
            break
        every = chains.children(connection, *_key(parent), limit=limit, now=now)
        # A file that was taken in may say that a job came of itself.
        mine = [child for child in every if _key(child) not in seen]
        found[_key(parent)] = mine
        seen.update(map(_key, mine))
        parents.extend(mine)
        limit -= len(mine)
    return found


def _in_order(found: Below, key: Key, *, depth: int) -> Iterator[Branch]:
    """Yield jobs as a tree is read, each before what came of it."""
    for child in found.get(key, ()):
        yield Branch(depth, child)
        yield from _in_order(found, _key(child), depth=depth + 1)


def _key(job: JobRecord) -> Key:
    return job.queue, job.id
