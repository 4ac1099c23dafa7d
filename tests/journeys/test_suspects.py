"""Jobs that take workers down among others: who is blamed, who runs alone, who is dead."""

from collections.abc import Mapping

import pytest

from tests.journeys.conftest import Configured
from tests.support import processors
from tests.support.processors import Run
from tests.support.program import Program

pytestmark = [pytest.mark.journey, pytest.mark.timeout(90)]

CROWD = 15
SMALL: Mapping[str, object] = {"memory": "120MB", "memory_hard": "220MB"}
HUNGRY: Mapping[str, object] = {"do": "swell", "megabytes": 300, "gate": "open"}


@pytest.mark.parametrize("killers", [1, pytest.param(3, marks=pytest.mark.rabbitmq)])
@pytest.mark.invariant(6)
def test_a_killer_among_fifteen_in_one_worker_is_convicted_and_the_innocents_are_done(
    killers: int, request: pytest.FixtureRequest, configured: Configured
) -> None:
    broker = "embedded" if killers == 1 else str(request.getfixturevalue("vhost_url"))
    program = configured({"toy": {"concurrency": CROWD}}, broker).start()
    bodies = [
        {"do": "crowd", "name": f"job {n}", "company": CROWD, "kills": n < killers}
        for n in range(CROWD)
    ]

    ids = program.submit("toy", *bodies)
    bad, good = ids[:killers], ids[killers:]
    program.wait_for_state("completed", *good, within=60)
    program.wait_for_state("failed", *bad, within=60)

    innocents = [program.job(job_id) for job_id in good]
    assert {job.crashes for job in innocents} == {1}
    for history in (job.history for job in innocents):
        # Broken off are those that waited for their turn when the killer struck again.
        assert [run.code for run in history if run.code != "interrupted"] == ["crashed", ""]
    for job in (program.job(job_id) for job_id in bad):
        assert (job.crashes, job.attempts) == (3, 0)
        deaths = [run.exit for run in job.history if run.code == "crashed"]
        assert len(deaths) == 3
        assert all("killed by SIGKILL (9)" in exit_ for exit_ in deaths)
        assert job.error is not None
        assert job.error.message.startswith("worker died 3 times while running this job, last: k")
    _assert_nobody_ran_beside_a_suspect(program)


def test_a_job_too_large_for_its_pool_is_done_by_a_roomier_one_or_is_dead_at_once(
    driver: str, configured: Configured
) -> None:
    pools = {
        "small": {**SMALL, "on_memory": {"requeue": "large"}},
        "large": {},
        "strict": {**SMALL, "on_memory": "dead"},
    }
    program = configured(pools, driver).start()

    (moves,) = program.submit("small", {**HUNGRY, "name": "moves"})
    (dies,) = program.submit("strict", {**HUNGRY, "name": "dies"})
    program.wait_for_line("job moved", job=moves, pool="large")
    program.wait_for_state("failed", dies)  # while it still wants its memory
    processors.open_gate(program.media, "open")
    program.wait_for_state("completed", moves)

    done, dead = program.job(moves), program.job(dies)
    assert (done.pool, done.queue, done.attempts) == ("large", "small_queue", 0)
    first, last = done.history
    assert (first.worker, first.code) == ("small-1", "out_of_memory")
    assert "allowed are 220 MB" in first.exit
    assert (last.worker, last.error) == ("large-1", "")
    assert (dead.crashes, dead.memory_crashes, len(dead.history)) == (0, 1, 1)
    assert dead.error is not None
    assert dead.error.code == "out_of_memory"
    assert dead.error.message.startswith("its worker needed too much memory once, last: uses ")
    assert len(processors.runs(program.media, name="moves")) == 2
    assert len(processors.runs(program.media, name="dies")) == 1
    assert (program.count("completed"), program.count("failed")) == (1, 1)


def _assert_nobody_ran_beside_a_suspect(program: Program) -> None:
    """Look at what every run after the first of each job has to say."""
    begun = processors.runs(program.media)
    ended = {(run.name, run.pid): run.at for run in processors.runs(program.media, what="ended")}
    seen: set[str] = set()
    alone: Run | None = None
    for run in begun:
        if alone is not None and alone.pid == run.pid:
            until = ended.get((alone.name, alone.pid))
            assert until is not None, f"{run.name} began beside {alone.name}"
            assert run.at >= until, f"{run.name} began beside {alone.name}"
        alone = run if run.name in seen else None
        seen.add(run.name)
