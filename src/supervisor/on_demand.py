"""Work on demand: a pool is worked off, told what came of it, and left as it was found.

A pool without workers gets some for as long as the run takes, and none of them begins more jobs
than was asked for. A pool that has workers is worked off by those: a run only waits for them.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

import msgspec

from consumers import logs
from consumers.clock import Clock
from consumers.holds import SPENT
from supervisor.bulletin import Bulletin, Tray
from supervisor.clerk import Clerk
from supervisor.core import on_demand as rules
from supervisor.core.conditions import OPERATOR
from supervisor.core.events import ScaleAsked
from supervisor.core.fleet import Fleet, Stopping, Worker
from supervisor.core.lifecycle import WorkerState
from supervisor.core.on_demand import End, Seen, Summary, Tally, Wish
from supervisor.core.records import PoolCard
from supervisor.core.scaling import workers_of
from supervisor.desks.events import Wanted
from supervisor.inbox import Inbox
from supervisor.ledger import soon
from supervisor.ledger.errors import LedgerError
from supervisor.ledger.soon import ToCome
from supervisor.ledger.store import Ledger
from supervisor.ports import BadOrderError, BusyError, ConflictError, NoRunError, NotNowError
from supervisor.postroom import Postroom
from supervisor.switchboard import Switchboard
from workers.spec import WorkerSpec

LOOK = 0.25  # seconds between two looks
MOST_NEWS = 1_000_000  # events that may wait to be counted
CRASHES = 3  # in a row before its first job, and a pool is not worth more tries
HEARD = frozenset({"active", "completed", "retrying", "cancelled", "failed"})

log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class Around:
    """Where a run looks, and where it turns to."""

    ledger: Ledger
    postroom: Postroom
    clerk: Clerk
    switchboard: Switchboard
    bulletin: Bulletin
    inbox: Inbox
    fleet: Callable[[], Fleet]


@dataclass(slots=True)
class _Run:
    """One run under way."""

    pool: str
    queue: str
    wish: Wish
    began: float
    hires: bool  # the pool has no workers of its own
    tally: Tally = field(default_factory=Tally)
    heard_at: float = 0.0
    there_at: float = 0.0  # when the broker was there last
    held_since: float | None = None
    workers: int = 0  # that were asked for
    shares: tuple[int, ...] = ()  # how many jobs each of them begins, if that is limited
    begun_by: dict[str, int] = field(default_factory=dict)  # worker -> runs

    def hear(self, news: Iterable[tuple[str, str, str]], now: float) -> None:
        for event, job, worker in news:
            self.heard_at = now
            self.tally.hear(event, job)
            if event == "active":
                self.begun_by[worker] = self.begun_by.get(worker, 0) + 1


class OnDemand:
    """Has pools worked off, one run a pool at a time."""

    def __init__(self, cards: Iterable[PoolCard], around: Around, clock: Clock) -> None:
        self._queues = {card.name: card.queues.public for card in cards}
        self._around = around
        self._clock = clock
        self._runs: dict[str, _Run] = {}
        self._ended: dict[str, Summary] = {}
        self._tasks: set[asyncio.Task[Summary]] = set()

    def is_running(self, pool: str) -> bool:
        """Answer whether a pool is being worked off."""
        return pool in self._runs

    def last(self, pool: str) -> Summary:
        """Return how far the run is, or what came of the last one. Raises NoRunError."""
        if pool in self._runs:
            return self._summary(self._runs[pool])
        if pool not in self._ended:
            message = f"pool {pool} has not been run on demand since the supervisor started"
            raise NoRunError(message)
        return self._ended[pool]

    def told(self, spec: WorkerSpec) -> WorkerSpec:
        """Return what a new process is told: how many jobs it begins, if a run says so."""
        run = self._runs.get(spec.pool)
        if run is None or not run.shares:
            return spec
        number = int(spec.worker_id.rpartition("-")[2])
        share = run.shares[number - 1] if number <= len(run.shares) else 0
        left = share - run.begun_by.get(spec.worker_id, 0)
        if left > 0:
            return msgspec.structs.replace(spec, most=left)
        held = {**spec.holds, SPENT: "it has begun as many jobs as it was to"}
        return msgspec.structs.replace(spec, holds=held)

    def start(self, pool: str, wish: Wish) -> asyncio.Task[Summary]:
        """Begin to work a pool off. Raises BadOrderError, BusyError, ConflictError, NotNowError."""
        self._check(pool, wish)
        now = self._clock.monotonic()
        policy = self._around.fleet().policies[pool]
        run = _Run(pool, self._queues[pool], wish, now, hires=not policy.instances)
        run.heard_at = run.there_at = now
        self._runs[pool] = run
        task = asyncio.create_task(self._run(run), name=f"run of {pool}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self) -> None:
        """Wait for the end of the runs there are: they end when the house stops."""
        if self._tasks:
            await asyncio.wait(tuple(self._tasks))

    async def _run(self, run: _Run) -> Summary:
        wanted = Wanted(queues=frozenset({run.queue}), names=HEARD)
        tray = self._around.bulletin.listen(wanted, backlog=MOST_NEWS)
        hearing = asyncio.create_task(self._hear(run, tray))
        try:
            log.info("run on demand begins", pool=run.pool, wish=msgspec.to_builtins(run.wish))
            end = await self._work(run)
            await self._clock.sleep(LOOK)  # the last news are handed out a moment later
            return await self._conclude(run, end)
        finally:
            del self._runs[run.pool]
            hearing.cancel()
            tray.leave()
            if run.hires:
                self._ask_for(run, 0)

    def _check(self, pool: str, wish: Wish) -> None:
        if fault := rules.faults(wish):
            raise BadOrderError(fault)
        if pool in self._runs:
            message = f"pool {pool} is being run on demand already; wait for the end of that run"
            raise BusyError(message)
        if self._around.fleet().stopping is not Stopping.NO:
            raise NotNowError("the supervisor stops; nothing is begun any more")
        if why := self._around.switchboard.holds_on(pool).get(OPERATOR):
            message = f"pool {pool} is paused ({why}); resume it first"
            raise ConflictError(message)

    async def _hear(self, run: _Run, tray: Tray) -> None:
        while (news := await tray.take()) is not None:
            told = ((each.name, each.job, _worker_of(each.body)) for each in news.told)
            run.hear(told, self._clock.monotonic())

    # --- the work -----------------------------------------------------------------------------

    async def _work(self, run: _Run) -> End:
        """Look again and again; what the workers give back when they leave is begun anew."""
        while True:
            ready = await self._around.postroom.depth(run.pool)
            seen = await self._look(run, ready)
            end = rules.end(run.wish, run.tally.begun, seen)
            if end is not None:
                await self._dismiss(run)
                left = await self._around.postroom.depth(run.pool) if end.how == "empty" else 0
                if not left or not run.hires:
                    return end
            elif run.hires and (ready or not run.wish.until_empty):
                self._hire(run, ready)
            await self._clock.sleep(LOOK)

    async def _look(self, run: _Run, ready: int | None) -> Seen:
        now, around = self._clock.monotonic(), self._around
        if around.postroom.is_connected:
            run.there_at = now
        in_hand = self._has_in_hand(run)
        if ready or in_hand:
            run.heard_at = now  # what a worker holds for a moment is seen again before it is over
        fleet = around.fleet()
        return Seen(
            passed=now - run.began,
            silent=now - run.heard_at,
            away=now - run.there_at,
            trouble=around.postroom.view.why,
            ready=ready,
            in_hand=in_hand,
            soon=ready == 0 and not in_hand and (await self._to_come(run)).soon > 0,
            stopping=fleet.stopping is not Stopping.NO,
            hopeless=self._hopeless(run, fleet, now),
        )

    def _hopeless(self, run: _Run, fleet: Fleet, now: float) -> str:
        """Return why nothing can come of a run, nothing if something may."""
        held = self._around.switchboard.holds_on(run.pool)
        if OPERATOR in held:
            return f"the pool was paused: {held[OPERATOR]}"
        workers = workers_of(fleet, run.pool)
        held |= {n: why for each in workers for n, why in each.holds.items() if n != SPENT}
        is_held = bool(held) and not self._has_in_hand(run)
        run.held_since = (run.held_since or now) if is_held else None
        if run.held_since is not None and now - run.held_since >= rules.REACH:
            return f"nothing was begun for {rules.REACH:.0f} s: {'; '.join(held.values())}"
        if workers and not run.tally.begun and all(map(_is_hopeless, workers)):
            return "no worker comes up; the log and `workers NAME` say why"
        return ""

    def _has_in_hand(self, run: _Run) -> bool:
        return self._around.clerk.active(run.queue) > 0

    async def _to_come(self, run: _Run) -> ToCome:
        now, span = self._clock.utcnow(), timedelta(seconds=rules.SOON)
        read = partial(soon.to_come, queue=run.queue, since=now - span, until=now + span)
        try:
            return await self._around.ledger.read(read)
        except LedgerError as error:
            log.debug("delayed jobs not counted", why=str(error))
            return ToCome(delayed=0, soon=1)

    # --- the workers --------------------------------------------------------------------------

    def _hire(self, run: _Run, ready: int | None) -> None:
        """Have the pool get workers; those of a run that counts its jobs are not added to."""
        left = None if run.wish.max_jobs is None else run.wish.max_jobs - run.tally.begun
        if left is not None and (run.workers or left < 1):
            return
        wanted = rules.workers_for(run.wish, ready, left)
        if wanted > run.workers:
            run.shares = () if left is None else rules.shares(left, wanted)
            self._ask_for(run, wanted)

    def _ask_for(self, run: _Run, instances: int) -> None:
        if self._around.fleet().policies[run.pool].instances != run.workers:
            run.hires = False  # somebody scaled the pool meanwhile: it is theirs now
        elif instances != run.workers:
            run.workers = instances
            why = "a run on demand begins" if instances else "the run on demand is over"
            self._around.inbox.put(ScaleAsked(run.pool, instances, why, is_patient=False))

    async def _dismiss(self, run: _Run) -> None:
        """Let the workers of the run leave, and wait for that; what they hold goes back."""
        if not run.hires or not run.workers:
            return
        self._ask_for(run, 0)
        run.begun_by.clear()
        while self._is_staffed(run):
            await self._clock.sleep(LOOK)

    def _is_staffed(self, run: _Run) -> bool:
        """Answer whether its workers are to leave yet; when all do, it is not for us to wait."""
        fleet = self._around.fleet()
        are_there = len(workers_of(fleet, run.pool)) > 0
        return run.hires and are_there and fleet.stopping is Stopping.NO

    # --- the end ------------------------------------------------------------------------------

    async def _conclude(self, run: _Run, end: End) -> Summary:
        to_come = await self._to_come(run)
        summary = msgspec.structs.replace(
            self._summary(run),
            running=False,
            ended=end.how,
            why=end.why,
            waiting=await self._around.postroom.depth(run.pool),
            delayed=to_come.delayed,
        )
        self._ended[run.pool] = summary
        log.info("run on demand is over", **msgspec.to_builtins(summary))
        return summary

    def _summary(self, run: _Run) -> Summary:
        tally = run.tally
        return Summary(
            pool=run.pool,
            running=True,
            begun=tally.begun,
            completed=tally.completed,
            failed=len(tally.failures),
            retried=tally.retried,
            cancelled=tally.cancelled,
            seconds=round(self._clock.monotonic() - run.began, 3),
            failures=tuple(tally.failures[: rules.MOST_SHOWN]),
        )


def _is_hopeless(worker: Worker) -> bool:
    return worker.state is WorkerState.FAILED or worker.streak >= CRASHES


class _Named(msgspec.Struct):
    worker: str = ""


def _worker_of(body: bytes) -> str:
    return msgspec.json.decode(body, type=_Named).worker
