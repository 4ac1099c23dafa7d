"""Killers among innocents, in any order: the killers are convicted, the innocents never.

A pool is lived through event by event: the rules judge and convict as they do in the program; the
ledger is a dictionary here, the broker a heap, and a worker a set of jobs in hand. In a worker a
suspect runs alone, as ``consumers/solitude.py`` has it.
"""

import random
from dataclasses import dataclass, field

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.desk import Claim, Condemn, Later, Move, Run
from consumers.jobs import Properties
from consumers.topology import pool_queues
from supervisor.core.claims import judge
from supervisor.core.commands import Blame
from supervisor.core.records import Charge, JobState, Known, PoolCard
from tests.unit.core.stories import KILLED, OUT_OF_MEMORY, Story, a_story

LARGE = PoolCard("large", pool_queues("large_clips"), max_crashes=2)
MOST = 2_000  # steps; a life that takes longer goes round in circles


@dataclass
class Slots:
    """One worker: which jobs wait for their turn in it, and which have started."""

    story: Story
    waiting: dict[str, bool] = field(default_factory=dict)  # id -> alone
    started: dict[str, bool] = field(default_factory=dict)

    def begin(self) -> None:
        """Let those begin whose turn it is."""
        suspects = [job for job, alone in self.waiting.items() if alone]
        if any(self.started.values()) or (suspects and self.started):
            return
        for job in suspects[:1] or list(self.waiting):
            self.started[job] = self.waiting.pop(job)
            self.story.starts(job)

    def end(self, job: str) -> None:
        del self.started[job]
        self.story.ends(job)
        self.begin()


@dataclass
class Pool:
    """All that is left of a program: what is known of jobs, what is ready, who works."""

    card: PoolCard
    killers: frozenset[str]
    innocents: frozenset[str]
    dice: random.Random
    slots: int
    workers: list[Slots]
    known: dict[str, Known] = field(default_factory=dict)
    ready: list[tuple[str, int]] = field(default_factory=list)  # id and copy number
    moved: set[str] = field(default_factory=set)
    completed: set[str] = field(default_factory=set)
    dead: set[str] = field(default_factory=set)
    blames: dict[str, list[int]] = field(default_factory=dict)  # with how many others

    @property
    def is_over(self) -> bool:
        return len(self.completed | self.dead | self.moved) == len(self.killers | self.innocents)

    def step(self) -> None:
        worker = self.dice.choice(self.workers)
        room = self.slots - len(worker.waiting) - len(worker.started)
        wants_new = not any([*worker.waiting.values(), *worker.started.values()])
        if self.ready and room and wants_new and self.dice.random() < 0.7:
            for _ in range(min(room, self.dice.randint(1, self.slots), len(self.ready))):
                self.deliver(worker, *self.ready.pop(self.dice.randrange(len(self.ready))))
            worker.begin()
        elif worker.started:
            self.let_one_act(worker, self.dice.choice(list(worker.started)))

    def deliver(self, worker: Slots, job: str, seq: int) -> None:
        claim = Claim("clips", b"{}", Properties(), "f", job_id=job, seq=seq)
        known = self.known.get(job)
        match judge(claim, known, running_on=None, pool=self.card, new_id=""):
            case Run(alone=alone, seq=number):
                self.known[job] = known or Known(job, JobState.ACTIVE, seq=number)
                worker.waiting[job] = alone
            case Later(seq=number):
                assert known is not None
                self.note(known, seq=number, suspect_cleared=True)
                self.ready.append((job, number))
            case Condemn():
                self.dead.add(job)
            case Move():
                self.moved.add(job)
            case verdict:
                pytest.fail(f"nobody asked for {verdict}")

    def let_one_act(self, worker: Slots, job: str) -> None:
        if job in self.killers:
            self.kill(worker)
        else:
            self.completed.add(job)
            worker.end(job)

    def kill(self, worker: Slots) -> None:
        worker.story.exits(OUT_OF_MEMORY if self.dice.random() < 0.5 else KILLED)
        for order in worker.story.orders:
            if isinstance(order, Blame):
                self.blame(order)
        for job in (*worker.waiting, *worker.started):
            self.ready.append((job, self.known[job].seq))
        worker.waiting, worker.started = {}, {}
        worker.story = a_story().up()

    def blame(self, order: Blame) -> None:
        is_memory = order.charge is Charge.MEMORY
        for job in (job.id for job in order.jobs):
            known = self.known[job]
            self.blames.setdefault(job, []).append(len(order.jobs) - 1)
            self.note(
                known,
                crashes=known.crashes + (not is_memory),
                memory_crashes=known.memory_crashes + is_memory,
                crash=order.why,
                charge=order.charge,
                is_shared=len(order.jobs) > 1,
                suspect_cleared=False,
            )

    def note(self, known: Known, **changes: object) -> None:
        self.known[known.id] = msgspec.structs.replace(known, **changes)


POOLS = st.builds(
    PoolCard,
    name=st.just("download"),
    queues=st.just(pool_queues("clips")),
    max_crashes=st.integers(1, 4),
    dead_by_memory=st.booleans(),
    roomier=st.sampled_from([None, LARGE]),
)


@pytest.mark.invariant(6)
@given(
    card=POOLS,
    killers=st.integers(0, 6),
    innocents=st.integers(0, 30),
    workers=st.integers(1, 4),
    slots=st.sampled_from([1, 2, 5, 15]),
    seed=st.integers(0, 2**32),
)
def test_killers_are_convicted_and_innocents_never(
    card: PoolCard, *, killers: int, innocents: int, workers: int, slots: int, seed: int
) -> None:
    bad = frozenset(f"killer-{n}" for n in range(killers))
    good = frozenset(f"innocent-{n}" for n in range(innocents))
    staff = [Slots(a_story().up()) for _ in range(workers)]
    dice = random.Random(seed)  # noqa: S311 - the same life in every run
    pool = Pool(card, bad, good, dice, slots, staff)
    pool.ready = [(job, 0) for job in (*bad, *good)]
    pool.dice.shuffle(pool.ready)

    for _ in range(MOST):
        if pool.is_over:
            break
        pool.step()

    assert pool.is_over, "it goes round in circles"
    assert pool.completed == good
    assert pool.dead | pool.moved == bad
    for job in good:
        assert len(pool.blames.get(job, [])) <= 1, "blamed twice for others"
    for job in bad:
        blames = pool.blames[job]
        assert len(blames) <= max(card.max_crashes, 2)
        assert blames[-1] == 0, "convicted by a death that others shared"
        assert all(others == 0 for others in blames[1:]), "a suspect did not run alone"


def test_fifteen_in_one_worker_are_all_blamed_once_and_the_killer_dies_after_three() -> None:
    card = PoolCard("download", pool_queues("clips"))
    good = frozenset(f"innocent-{n}" for n in range(14))
    dice = random.Random(1)  # noqa: S311 - the same life in every run
    pool = Pool(card, frozenset({"killer"}), good, dice, 15, [Slots(a_story().up())])
    (worker,) = pool.workers
    for job in (*good, "killer"):
        pool.deliver(worker, job, 0)
    worker.begin()
    pool.let_one_act(worker, "killer")
    assert all(pool.blames[job] == [14] for job in (*good, "killer"))

    while not pool.is_over:
        pool.step()

    assert pool.completed == good
    assert pool.dead == {"killer"}
    assert pool.blames["killer"] == [14, 0, 0]
