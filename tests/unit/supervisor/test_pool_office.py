"""Who may change pools: a supervisor that takes jobs only has no workers to change."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from consumers.jobs import Priority
from consumers.topology import pool_queues
from supervisor.config.settings import Pool
from supervisor.core.conditions import OPERATOR
from supervisor.core.events import Ticked
from supervisor.core.fleet import PoolPolicy, initial
from supervisor.core.on_demand import Wish
from supervisor.core.records import PoolCard
from supervisor.inbox import Inbox
from supervisor.on_demand import OnDemand
from supervisor.pools import PoolOffice
from supervisor.ports import (
    ConflictError,
    ElsewhereError,
    UnknownPoolError,
    UnknownWorkerError,
)
from tests.support.clocks import FakeClock

ROOT = Path(__file__).parents[3]


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def pools(inbox: Inbox) -> PoolOffice:
    fleet, _ = initial([PoolPolicy(name="toy", instances=2)], 0.0)
    nobody: Any = None  # a run on demand is tested elsewhere
    configured = {"toy": Pool("toy", "toy_queue", "a.b")}
    return PoolOffice(configured, lambda: fleet, inbox, nobody, FakeClock())


async def test_who_takes_jobs_only_starts_no_worker(pools: PoolOffice, inbox: Inbox) -> None:
    pools.works = False

    with pytest.raises(ElsewhereError, match="role: api"):
        await pools.scale("toy", 3)
    with pytest.raises(ElsewhereError, match="role: api"):
        await pools.run("toy", Wish())
    with pytest.raises(ElsewhereError, match="role: api"):
        pools.begin("toy", Wish())
    pools.step(1)

    assert await inbox.take(within=0.0) == Ticked()


async def test_a_paused_pool_is_not_run(inbox: Inbox) -> None:
    fleet, _ = initial([PoolPolicy(name="toy", instances=2)], 0.0)
    card = PoolCard("toy", pool_queues("toy_queue"))
    switchboard = SimpleNamespace(holds_on=lambda _: {OPERATOR: "the site asked us to"})
    around: Any = SimpleNamespace(fleet=lambda: fleet, switchboard=switchboard)
    runs = OnDemand([card], around, FakeClock())
    configured = {"toy": Pool("toy", "toy_queue", "a.b")}
    pools = PoolOffice(configured, lambda: fleet, inbox, runs, FakeClock())

    with pytest.raises(ConflictError, match=r"toy is paused \(the site asked us to\); resume it"):
        await pools.run("toy", Wish())


def test_a_pool_says_which_numbers_stand_for_priorities(inbox: Inbox) -> None:
    fleet, _ = initial([PoolPolicy(name="toy", instances=2)], 0.0)
    idle: Any = SimpleNamespace(is_running=lambda _: False)
    scale = {0: Priority.LOW, 10: Priority.HIGH}
    configured = {"toy": Pool("toy", "toy_queue", "a.b", priority_map=scale)}
    mapped = PoolOffice(configured, lambda: fleet, inbox, idle, FakeClock())
    usual = PoolOffice({"toy": Pool("toy", "q", "a.b")}, lambda: fleet, inbox, idle, FakeClock())

    assert mapped.view("toy").priorities == (0, 10)
    assert usual.view("toy").priorities == (1, 2, 3, 4, 5)


async def test_workers_are_restarted_by_their_names_and_pools_by_theirs(pools: PoolOffice) -> None:
    assert (await pools.restart("toy-2")).workers == ("toy-2",)
    assert (await pools.restart_all("toy")).workers == ("toy-1", "toy-2")

    with pytest.raises(UnknownWorkerError, match="no worker 'toy'"):
        await pools.restart("toy")
    with pytest.raises(UnknownPoolError):
        await pools.restart_all("toy-1")


def test_only_who_works_is_given_the_secret_that_has_work_done() -> None:
    text = (ROOT / "deploy" / "compose.yaml").read_text()

    assert "WORKER_SECRET" not in text.partition("  api:")[2].partition("  worker:")[0]
