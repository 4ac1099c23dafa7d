"""What follows a completed job: the jobs that come of its result, and what speaks against them.

A body's own ``then`` replaces that of its pool. Whatever a result holds, it becomes jobs, or a
remark for whoever reads the log; a result is final, so nothing here fails.
"""

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import msgspec

from consumers import chains, jobs
from consumers.chains import FILES, THEN, Step, steps_of
from consumers.errors import MalformedError, nearest
from consumers.jobs import Properties
from consumers.outcome import Failure
from supervisor.core.records import JobRecord, NewJob, PoolCard

ORIGIN = "chain"
MOST = 10_000  # jobs that follow one job
MOST_BYTES = 64_000_000  # of all their bodies: they are written in one transaction
LARGEST = 16_000_000  # bytes of one body; no pool may be given more
SUBTITLES = "subtitles"  # a kind of files
BESIDE = frozenset({SUBTITLES, "text"})  # what only comes with other files
_UNSAYABLE = (TypeError, ValueError, OverflowError, RecursionError)  # in JSON
_MOST_SHOWN = 20  # types or lists that a refusal names
_LONGEST_NAME = 80  # characters of a list's name that are shown

Pools = Mapping[str, PoolCard]


class Target(Protocol):
    """What a pool must show for it to be seen whether it has anybody for a job."""

    @property
    def types(self) -> Collection[str]:
        """The types of its jobs; none: it does not ask for any."""

    @property
    def needs_type(self) -> bool:
        """Whether nobody is there for a job without one."""


@dataclass(frozen=True, slots=True)
class Following:
    """The jobs that follow one, and in words what does not."""

    jobs: tuple[NewJob, ...] = ()
    remarks: tuple[str, ...] = ()


def followers(
    job: JobRecord, result: Mapping[str, object], pools: Pools, *, now: datetime
) -> Following:
    """Return what follows a job that was completed with this result."""
    try:
        steps = _steps(job, pools)
    except MalformedError as error:  # of a job that ran before this was looked at
        remark = f"nothing follows: {error.message}"
        return Following(remarks=(remark,))
    making = _Making(job, pools, now)
    for step in steps if _is_success(result) else ():
        making.follow(step, result)
    return Following(tuple(making.jobs), tuple(making.remarks))


def check(data: object, pools: Mapping[str, Target]) -> None:
    """Find fault with what a body says is to follow, in a house with these pools.

    Raises:
        MalformedError: it names a pool that there is not, or a type that its pool does not have.
    """
    if not isinstance(data, Mapping):
        return
    for at, named, step in chains.places(steps_of(data) or (), data.get(THEN)):
        if step.pool not in pools:
            hint = nearest(step.pool, pools) or f"there are: {', '.join(pools)}"
            why = f"names {step.pool}, which is no pool here; {hint}"
            raise MalformedError(named, why)
        if why := type_fault(step, pools[step.pool]):
            typed = f"{at}.type"
            raise MalformedError(typed, why)


def refusal(body: bytes, pools: Pools) -> Failure | None:
    """Return why a job may not run whose body says what is to follow, if it may not."""
    if b'"then"' not in body and b"\\u" not in body:  # a name may be written in escapes
        return None  # nearly all of them: to read each body once more would cost too much
    try:
        check(msgspec.json.decode(body), pools)
    except MalformedError as error:
        return Failure(error.message, code=error.code, hint=error.hint, permanent=True)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None  # that is said where bodies are read
    return None


def type_fault(step: Step, pool: Target) -> str:
    """Return why a pool has nobody for the jobs of a step; empty: it has."""
    if step.type in pool.types or not (step.type or pool.needs_type):
        return ""
    if not pool.types:
        return f"is {step.type!r:.80}, but the pool {step.pool} has no types"
    known = sorted(pool.types)
    shown = ", ".join(known[:_MOST_SHOWN]) + (", ..." if len(known) > _MOST_SHOWN else "")
    if step.type:
        return f"is {step.type!r:.80}, which the pool {step.pool} does not know; it knows: {shown}"
    return f"is missing; the pool {step.pool} has jobs of these types: {shown}"


def _steps(job: JobRecord, pools: Pools) -> tuple[Step, ...]:
    """Return what is to follow a job, as itself or else its queue's own pool has it.

    A job that was moved to a roomier pool is still what its queue's jobs are.
    """
    own = steps_of(job.data) if isinstance(job.data, Mapping) else None
    if own is not None:
        return own
    homes = (card for card in pools.values() if card.queues.public == job.queue)
    home = next(homes, pools.get(job.pool))
    return home.then if home is not None else ()


def _is_success(result: Mapping[str, object]) -> bool:
    data = result.get("data")
    told = (result, data) if isinstance(data, Mapping) else (result,)
    return all(each.get("success") is not False for each in told)


@dataclass(slots=True)
class _Making:
    """The jobs that are made of one result, step by step."""

    job: JobRecord
    pools: Pools
    now: datetime
    jobs: list[NewJob] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    size: int = 0  # bytes of their bodies
    tried: int = 0  # entries that were to become one

    def follow(self, step: Step, result: Mapping[str, object]) -> None:
        """Make the jobs of one step."""
        card = self.pools.get(step.pool)
        if card is None:
            self._remark(step, f"there is no such pool here; there are: {', '.join(self.pools)}")
            return
        entries = _entries(step, result)
        if entries is None:
            self._remark(step, f"the result has no list {step.each}; {_lists_of(result)}")
            return
        fixed = self._fixed(step)
        if fixed is None:
            return
        for number, entry in enumerate(entries):
            if self.tried >= MOST:
                left = len(entries) - number
                self._remark(step, f"{left:,} more are left out, {MOST:,} may follow one job")
                return
            self.tried += 1
            if not self._enter(step, card, entry, fixed):
                left = len(entries) - number
                why = f"{left:,} are left out, all together may have {MOST_BYTES:,} bytes"
                self._remark(step, why)
                return

    def _fixed(self, step: Step) -> bytes | None:
        """Return what all jobs of a step say besides their entries; None: no job can say it."""
        try:
            fixed = msgspec.json.encode({**step.data, **self._inherited(step)})
        except _UNSAYABLE as error:
            self._remark(step, f"its data cannot be sent: {error}")
            return None
        if len(fixed) > LARGEST:
            why = f"its data alone has {len(fixed):,} bytes, at most {LARGEST:,} are possible"
            self._remark(step, why)
            return None
        return fixed

    def _enter(self, step: Step, card: PoolCard, entry: object, fixed: bytes) -> bool:
        """Make one job; false when there is no room for it and what comes after it."""
        try:
            own = msgspec.json.encode({step.into: _path_of(entry)})
        except _UNSAYABLE as error:
            self._remark(step, f"an entry of {step.each} is left out, it cannot be sent: {error}")
            return True
        size = len(own) + len(fixed) - 1
        if size > LARGEST:
            why = f"an entry of {step.each} is left out, its job would have {size:,} bytes"
            self._remark(step, f"{why}, at most {LARGEST:,} are possible")
            return True
        self.size += size
        if self.size > MOST_BYTES:
            return False
        body = own if fixed == b"{}" else own[:-1] + b"," + fixed[1:]
        self.jobs.append(self._job(step, card, body))
        return True

    def _inherited(self, step: Step) -> dict[str, object]:
        """Return what every job of a step has besides its entry and data."""
        return {
            **self._addressee(),
            **({"noreply": True} if self.job.noreply else {}),
            **({jobs.TYPE: step.type} if step.type else {}),
            **({} if step.then is None else {THEN: chains.written(step.then)}),
        }

    def _addressee(self) -> dict[str, object]:
        """Return for whom it is, under the name and in the very type that were said."""
        data = self.job.data if isinstance(self.job.data, Mapping) else {}
        said = {name: data[name] for name in ("from", "userId") if data.get(name) is not None}
        return said or ({"from": self.job.sender} if self.job.sender else {})

    def _job(self, step: Step, card: PoolCard, body: bytes) -> NewJob:
        job_id, priority = uuid.uuid4().hex, self.job.priority
        return NewJob(
            id=job_id,
            pool=card.name,
            queue=card.queues.public,
            body=body,
            properties=Properties(
                message_id=job_id,
                content_type="application/json",
                priority=priority.amqp,
                type=step.type or None,
                timestamp=self.now,
            ),
            priority=priority,
            sender=self.job.sender,
            noreply=self.job.noreply,
            name=step.type,
            origin=ORIGIN,
        )

    def _remark(self, step: Step, why: str) -> None:
        if len(self.remarks) < _MOST_SHOWN:
            self.remarks.append(f"not all follows in {step.pool}: {why}")


def _entries(step: Step, result: Mapping[str, object]) -> Sequence[object] | None:
    """Return what becomes a job each; None when there is no such list."""
    if not step.each:
        return [result.get("data", {})]
    found = _at(step.each, result)
    if not isinstance(found, list):
        return None
    if step.each == FILES:
        return [entry for entry in found if not _only_comes_along(entry)]
    return found


def _lists_of(result: Mapping[str, object]) -> str:
    """Return the names of the lists a result has, as a step would write them."""
    data = result.get("data")
    places = [("", result), ("data.", data if isinstance(data, Mapping) else {})]
    found = [
        f"{at}{name}"
        for at, whole in places
        for name, value in whole.items()
        if isinstance(value, list) and name.isprintable() and len(name) <= _LONGEST_NAME
    ]
    return f"it has {', '.join(found[:_MOST_SHOWN])}" if found else "it has none at all"


def _at(path: str, result: Mapping[str, object]) -> object:
    """Return what is at a path of a result, or failing that of what its processor returned."""
    for whole in (result, result.get("data")):
        found: object = whole
        for name in path.split("."):
            found = found.get(name) if isinstance(found, Mapping) else None
        if found is not None:
            return found
    return None


def _path_of(entry: object) -> object:
    """Return the path of a file, and anything else as it is."""
    path = entry.get("path") if isinstance(entry, Mapping) else None
    return path if isinstance(path, str) else entry


def _only_comes_along(entry: object) -> bool:
    return isinstance(entry, Mapping) and entry.get("kind") in BESIDE
