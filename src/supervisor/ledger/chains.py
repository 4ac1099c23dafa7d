"""Jobs that follow jobs: how a chain stands, what came of a job, and what is told once all ended.

Triggers note which chains have changed (migration 0008), in the transaction that changed them; who
looks at a chain holds the row of its first job meanwhile. Of two jobs that end at the same moment
on two machines, the note of the one that is committed last is looked at when both can be seen.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import msgspec
from sqlalchemy import (
    BindParameter,
    Connection,
    bindparam,
    delete,
    exists,
    false,
    func,
    insert,
    literal,
    not_,
    or_,
    select,
    true,
    tuple_,
    update,
)
from sqlalchemy.exc import SQLAlchemyError

from supervisor.core.records import (
    FINAL,
    NO_KIN,
    Chain,
    JobRecord,
    JobState,
    Kin,
    NewJob,
    Notice,
    Relative,
)
from supervisor.ledger import outbox, pending, rows
from supervisor.ledger.conditions import FAILED_AND_REMOVED, THIS_JOB, job_key
from supervisor.ledger.rows import AnyRow
from supervisor.ledger.tables.jobs import HAS_PARENT, HAS_ROOT, chain_checks, jobs

AT_ONCE = 500  # notes that are taken together
MOST = 200  # jobs of a chain that its notice is written from
DEEPEST = 64  # generations; more than any chain has

Key = tuple[str, str]
# Of the first job, the chain, and the jobs of it that have ended: what is to be told.
Tell = Callable[[JobRecord, Chain, Sequence[JobRecord]], tuple[Notice, ...]]

_UNDER_WAY = tuple(sorted(state.value for state in JobState if state not in FINAL))

_OF_CHAIN = (  # the first condition names the index
    HAS_ROOT,
    jobs.c.root_queue == bindparam("the_queue"),
    jobs.c.root_id == bindparam("the_job"),
)
_OF_PARENT = (
    HAS_PARENT,
    jobs.c.parent_queue == bindparam("the_queue"),
    jobs.c.parent_id == bindparam("the_job"),
)
# What claims to be of a chain whose first job knows nothing of it came from a file.
_IS_FIRST = (THIS_JOB, jobs.c.root_queue == jobs.c.queue, jobs.c.root_id == jobs.c.id)
_besides: BindParameter[Sequence[Key]] = bindparam("the_keys", expanding=True)
# What another coordinator looks at just now it deals with.
_checks = (
    select(chain_checks)
    .where(tuple_(chain_checks.c.queue, chain_checks.c.id).not_in(_besides))
    .order_by(chain_checks.c.number)
    .limit(AT_ONCE)
    .with_for_update(skip_locked=True)
)
_numbers: BindParameter[Sequence[int]] = bindparam("the_numbers", expanding=True)
_looked_at = delete(chain_checks).where(chain_checks.c.number.in_(_numbers))
_anything = select(exists().where(chain_checks.c.number > 0))
_first = (
    select(
        *(jobs.c.number, jobs.c.state, jobs.c.chain_open, jobs.c.chain_leaving, jobs.c.chain_told)
    )
    .where(*_IS_FIRST)
    .with_for_update()
)
_whole = select(jobs).where(THIS_JOB)
# Each state by itself: of several, PostgreSQL might look for one among all that have ended.
_is_under_way = select(
    or_(*(exists().where(*_OF_CHAIN, jobs.c.state == state) for state in _UNDER_WAY))
)
_states = select(jobs.c.state, func.count()).where(*_OF_CHAIN).group_by(jobs.c.state)
_failed_and_removed = select(func.count()).where(*_OF_CHAIN, FAILED_AND_REMOVED)
_newest = select(func.max(jobs.c.finished_at)).where(
    *_OF_CHAIN,
    or_(
        jobs.c.state.in_([JobState.COMPLETED.value, JobState.FAILED.value]),
        FAILED_AND_REMOVED,
    ),
)
_is_open = select(jobs.c.chain_open).where(*_IS_FIRST)
_opening = update(jobs).where(THIS_JOB).values(chain_open=true())
_closing = (
    update(jobs).where(THIS_JOB).values(chain_open=false(), chain_told=bindparam("the_newest"))
)
_leaving = update(jobs).where(*_IS_FIRST, not_(jobs.c.chain_leaving)).values(chain_leaving=true())
_staying = update(jobs).where(*_IS_FIRST, jobs.c.chain_leaving).values(chain_leaving=false())
_some = (
    select(jobs)
    .where(
        *_OF_CHAIN,
        jobs.c.state == bindparam("the_state"),
        jobs.c.number != bindparam("the_first"),
    )
    .order_by(jobs.c.number)
    .limit(bindparam("the_limit"))
)
# In this order a notice hears of them.
_TOLD = (
    (JobState.FAILED, _some),
    (JobState.REMOVED, _some.where(FAILED_AND_REMOVED)),
    (JobState.COMPLETED, _some),
    (JobState.CANCELLED, _some),
    (JobState.REMOVED, _some.where(not_(FAILED_AND_REMOVED))),
)
_children = select(jobs).where(*_OF_PARENT).order_by(jobs.c.number).limit(bindparam("the_limit"))
_shown = (jobs.c.queue, jobs.c.id, jobs.c.state, jobs.c.number)
_below = select(*_shown, literal(1).label("depth")).where(*_OF_PARENT).cte("below", recursive=True)
_next_below = select(*_shown, _below.c.depth + 1).where(
    HAS_PARENT,
    jobs.c.parent_queue == _below.c.queue,
    jobs.c.parent_id == _below.c.id,
    _below.c.depth < DEEPEST,
)
_below = _below.union_all(_next_below)
_all_below = select(_below).order_by(_below.c.depth, _below.c.number)
_kin = select(jobs.c.root_id, jobs.c.parent_id).where(THIS_JOB)
_own = select(jobs.c.root_queue, jobs.c.root_id).where(THIS_JOB)
_beginning = (
    update(jobs).where(THIS_JOB).values(root_queue=jobs.c.queue, root_id=jobs.c.id, chain_open=True)
)
_note = insert(chain_checks)


@dataclass(frozen=True, slots=True)
class Ended:
    """A chain of which every job has ended, as it stood when its user was told."""

    root: JobRecord
    chain: Chain


@dataclass(frozen=True, slots=True)
class Settled:
    """What came of a look: chains that are over, and why others could not be looked at."""

    ended: tuple[Ended, ...] = ()
    astray: Mapping[Key, Exception] = field(default_factory=dict)
    notes: int = 0  # that were looked at, and are gone


@dataclass(frozen=True, slots=True)
class Descendant:
    """A job that came of another one, at any depth."""

    queue: str
    id: str
    state: JobState

    @property
    def key(self) -> Key:
        """Return the queue and id of the job."""
        return self.queue, self.id


# --- how a chain grows and ends ------------------------------------------------------------------


def follow(
    connection: Connection, parent: Relative, followers: Sequence[NewJob], *, now: datetime
) -> None:
    """Enter the jobs that follow one which was just completed, in the same transaction."""
    key = job_key(parent.queue, parent.id)
    root = Relative(*connection.execute(_own, key).one())
    is_first = not root.id
    if is_first:
        connection.execute(_beginning, key)
        root = parent
    mine = [msgspec.structs.replace(job, parent=parent, root=root) for job in followers]
    entered = pending.enter_all(connection, mine, now=now)
    if is_first and not entered:  # nothing will end that could say so
        connection.execute(_note, {"queue": root.queue, "id": root.id, "begins": False})


def anything(connection: Connection) -> bool:
    """Answer whether there is a chain to be looked at."""
    return bool(connection.scalar(_anything))


def settle(
    connection: Connection, *, tell: Tell, now: datetime, besides: Collection[Key] = ()
) -> Settled:
    """Look at chains that have changed; have those told of that are over, each once.

    ``tell`` is given the first job, the chain, and of the others those that failed, then the
    completed ones, then the rest, each the oldest first: at most ``MOST``. A chain of which a job
    runs again is open again, and is told of once more at its end; what was taken back before it ran
    is no news. Of one whose first job is gone nobody is told, nor of one that is leaving. More may
    be left: ask ``anything``. The notes of a chain that cannot be looked at stay, and those of
    ``besides`` too.
    """
    checks = connection.execute(_checks, {"the_keys": list(besides)}).all()
    has_begun: dict[Key, bool] = {}
    for check in checks:
        key = check.queue, check.id
        has_begun[key] = has_begun.get(key, False) or check.begins
    ended: list[Ended] = []
    astray: dict[Key, Exception] = {}
    # In one order everywhere: of two that look at the same chains one waits, and never both.
    for key in sorted(has_begun):
        found = _look_alone(connection, key, has_begun=has_begun[key], tell=tell, now=now)
        if isinstance(found, Ended):
            ended.append(found)
        elif found is not None:
            astray[key] = found
    done = [check.number for check in checks if (check.queue, check.id) not in astray]
    if done:
        connection.execute(_looked_at, {"the_numbers": done})
    return Settled(tuple(ended), astray, notes=len(done))


def _look_alone(
    connection: Connection, key: Key, *, has_begun: bool, tell: Tell, now: datetime
) -> Ended | Exception | None:
    """Look at one chain; what cannot be read or said of it is no other chain's affair."""
    try:
        with connection.begin_nested():
            return _look(connection, key, has_begun=has_begun, tell=tell, now=now)
    except SQLAlchemyError:
        raise  # the ledger's trouble, or a collision: nothing of this look is kept
    except Exception as error:  # noqa: BLE001 - around a notifier: the caller says of which chain
        return error


def _look(
    connection: Connection, key: Key, *, has_begun: bool, tell: Tell, now: datetime
) -> Ended | None:
    this = job_key(*key)
    row = connection.execute(_first, this).one_or_none()
    if row is None or row.state == JobState.REMOVED.value:
        return None
    # Not in one statement with the lock: it would see the others as they were before the wait.
    is_under_way = connection.scalar(_is_under_way, this)
    if is_under_way or row.chain_leaving:
        if not row.chain_open and (is_under_way or has_begun):
            connection.execute(_opening, this)
        return None
    # A job may have begun and ended since the last look; or have begun just now, and said so.
    states = _counts(connection, this) if row.chain_open or has_begun else {}
    if not states or not _is_over(states):
        return None
    newest = connection.scalar(_newest, this)
    ended = None
    if row.chain_told is None or (newest or 0) > row.chain_told:
        chain = Chain(states, is_open=False)
        ended = _tell_of(connection, this, chain, tell=tell, now=now)
    connection.execute(_closing, this | {"the_newest": newest or row.chain_told})
    return ended


def _tell_of(
    connection: Connection, this: Mapping[str, object], chain: Chain, *, tell: Tell, now: datetime
) -> Ended:
    """Have the user of a chain told of it, in the same transaction."""
    row = connection.execute(_whole, this).one()
    root = rows.record(row, now=now)
    others = [_as_told(other, now=now) for other in _ended(connection, this, row.number)]
    outbox.add(connection, tell(root, chain, others), now=now)
    return Ended(root, chain)


def _ended(connection: Connection, this: Mapping[str, object], first: int) -> list[AnyRow]:
    """Return the jobs of a chain that is over but for the first, as ``settle`` says."""
    found: list[AnyRow] = []
    for state, query in _TOLD:
        some = {"the_first": first, "the_state": state.value, "the_limit": MOST - len(found)}
        found.extend(connection.execute(query, {**this, **some}))
    return found


def _as_told(row: AnyRow, *, now: datetime) -> JobRecord:
    """Return a job that has ended; that it failed, also if somebody removed it since."""
    told = rows.record(row, now=now)
    if told.state is JobState.REMOVED and row.error_group:
        return msgspec.structs.replace(told, state=JobState.FAILED)
    return told


# --- how a chain is removed ----------------------------------------------------------------------


def leave(connection: Connection, queue: str, job_id: str) -> None:
    """Note that a chain is being removed: whatever becomes of it, on any machine, is no news."""
    connection.execute(_leaving, job_key(queue, job_id))


def stay(connection: Connection, queue: str, job_id: str) -> None:
    """Note that a chain is not removed after all; it is looked at then, as after any change."""
    if connection.execute(_staying, job_key(queue, job_id)).rowcount:
        connection.execute(_note, {"queue": queue, "id": job_id, "begins": False})


def kin_of(connection: Connection, queue: str, job_id: str) -> Kin:
    """Return of which jobs one came; of one that is not there, as of one that followed none."""
    row = connection.execute(_kin, job_key(queue, job_id)).one_or_none()
    return NO_KIN if row is None else rows.kin(row)


# --- what people see -----------------------------------------------------------------------------


def chain_of(connection: Connection, queue: str, job_id: str) -> Chain | None:
    """Return how the chain stands whose first job this is; None for any other job."""
    this = job_key(queue, job_id)
    is_open = connection.scalar(_is_open, this)
    if is_open is None:
        return None
    states = _counts(connection, this)
    return Chain(states, is_open=is_open or not _is_over(states))


def is_known(connection: Connection, queue: str, job_id: str) -> bool:
    """Answer whether this is the first job of a chain."""
    return connection.scalar(_is_open, job_key(queue, job_id)) is not None


def children(
    connection: Connection, queue: str, job_id: str, *, limit: int, now: datetime
) -> tuple[JobRecord, ...]:
    """Return the jobs that a job was followed by, the oldest first."""
    found = connection.execute(_children, job_key(queue, job_id) | {"the_limit": limit})
    return tuple(rows.record(row, now=now) for row in found)


def descendants(connection: Connection, queue: str, job_id: str) -> tuple[Descendant, ...]:
    """Return all that came of a job, its children first and the last generation last."""
    found = connection.execute(_all_below, job_key(queue, job_id))
    # Each once: a file that was taken in may say that a job came of itself.
    every = (Descendant(row.queue, row.id, JobState(row.state)) for row in found)
    return tuple(dict.fromkeys(each for each in every if each.key != (queue, job_id)))


def _counts(connection: Connection, this: Mapping[str, object]) -> dict[JobState, int]:
    """Return how many jobs of a chain are in which state; what failed counts as that for good."""
    states = {JobState(state): number for state, number in connection.execute(_states, this)}
    removed = states.pop(JobState.REMOVED, 0)
    failed = connection.scalar(_failed_and_removed, this) or 0 if removed else 0
    if failed:
        states[JobState.FAILED] = states.get(JobState.FAILED, 0) + failed
    return states | ({JobState.REMOVED: removed - failed} if removed > failed else {})


def _is_over(states: Iterable[JobState]) -> bool:
    return all(state.is_final for state in states)
