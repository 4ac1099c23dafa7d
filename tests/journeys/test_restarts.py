"""How workers fall and rise: every restart has a cause, an exit in words, and jobs in hand."""

import os
import signal
from collections.abc import Mapping
from functools import partial

import pytest

from tests.journeys.conftest import Configured
from tests.support import processors, publisher
from tests.support.program import Program
from tests.support.receiver import Receiver

pytestmark = [pytest.mark.journey, pytest.mark.timeout(90)]

ONCE = {"max_crashes": 1}  # a job that took one worker down is a dead letter


def test_a_crash_is_told_in_words_and_the_next_job_is_done(configured: Configured) -> None:
    deaths: Mapping[str, tuple[Mapping[str, object], str]] = {
        "exits": ({"do": "exit", "code": 3}, "exit code 3"),
        "faults": ({"do": "fault"}, "segmentation fault (SIGSEGV)"),
    }
    program = configured(dict.fromkeys(deaths, ONCE)).start()

    bad = {pool: program.submit(pool, body)[0] for pool, (body, _) in deaths.items()}
    good = [program.submit(pool, {})[0] for pool in deaths]
    program.wait_for_state("failed", *bad.values())
    program.wait_for_state("completed", *good)

    for pool, (_, exit_) in deaths.items():
        worker, job = program.worker(f"{pool}-1"), program.job(bad[pool])
        assert worker.last_restart is not None
        assert worker.last_restart.cause == "crash"
        assert worker.last_restart.exit.startswith(exit_)
        assert worker.last_restart.jobs == (bad[pool],)
        assert (worker.crash_count, job.crashes, job.attempts) == (1, 1, 0)
        assert job.error is not None
        assert job.error.message.endswith(exit_)
    stacks = program.ledger("SELECT stack FROM incidents WHERE worker = 'faults-1'")
    assert "_fault" in stacks[0][0]


@pytest.mark.invariant(9)
def test_a_mistake_of_our_own_ends_the_worker_and_leaves_no_job_in_its_hand(
    configured: Configured,
) -> None:
    program = configured({"toy": {"processor": "tests.support.rogues", **ONCE}}).start()
    program.may_raise = True

    (job_id,) = program.submit("toy", {"do": "derail"})
    program.wait_for_state("failed", job_id)
    program.wait_for_state("completed", *program.submit("toy", {}))

    worker = program.worker("toy-1")
    assert worker.last_restart is not None
    assert (worker.last_restart.cause, worker.last_restart.jobs) == ("crash", (job_id,))
    assert "nobody thought of this" in program.log


def test_a_processor_that_wants_to_leave_the_process_has_only_failed(
    configured: Configured,
) -> None:
    program = configured({"toy": {"retry": {"attempts": 2, "delay": "100ms"}}}).start()
    program.may_raise = True

    (job_id,) = program.submit("toy", {"do": "leave", "code": 4})
    program.wait_for_state("failed", job_id)

    job = program.job(job_id)
    assert (job.attempts, job.crashes) == (2, 0)
    assert job.error is not None
    assert job.error.message == "SystemExit: 4"
    assert program.worker("toy-1").restarts == 0


@pytest.mark.invariant(5)
def test_a_job_that_takes_three_workers_down_is_a_dead_letter_while_others_flow(
    driver: str, configured: Configured, receiver: Receiver
) -> None:
    program = configured({"toy": {"instances": 2}}, driver, webhook=receiver.url).start()

    (poison,) = program.submit("toy", {"do": "die", "name": "poison", "from": "user123"})
    others = program.submit("toy", *({"do": "sleep", "seconds": 0.1} for _ in range(40)))
    program.wait_for_state("completed", *others)
    program.wait_for_state("failed", poison)
    told = receiver.requests.get(timeout=15)

    job = program.job(poison)
    assert len(processors.runs(program.media, name="poison")) == 3
    assert (job.crashes, job.attempts) == (3, 0)
    assert job.error is not None
    assert "SIGKILL" in job.error.message
    assert b"SIGKILL" in told.body
    assert receiver.received() == []
    assert all(run.exit for run in job.history)
    assert all(program.job(other).crashes == 0 for other in others)


def test_memory_above_the_limit_ends_a_worker_after_its_job_and_far_above_at_once(
    configured: Configured,
) -> None:
    """Children count: what a processor starts is its worker's memory."""
    limits = {"memory": "150MB", "memory_hard": "450MB"} | ONCE
    program = configured({"soft": limits, "hard": limits, "child": limits}).start()
    before = program.worker("soft-1")

    (soft,) = program.submit("soft", {"do": "swell", "megabytes": 200, "gate": "open"})
    (child,) = program.submit("child", {"do": "swell child", "megabytes": 200, "gate": "open"})
    (hard,) = program.submit("hard", {"do": "swell", "megabytes": 600, "gate": "never"})
    program.wait_for_line("worker restarting", worker="soft-1", cause="memory")
    program.wait_for_line("worker restarting", worker="child-1", cause="memory")
    during = program.worker("soft-1")
    processors.open_gate(program.media, "open")
    program.wait_for_state("completed", soft, child)
    program.wait_for_state("failed", hard)
    program.wait_until_consuming()

    assert (during.pid, during.job) == (before.pid, soft)
    for name in ("soft-1", "child-1", "hard-1"):
        program.wait_for_line("worker restored", worker=name)
        worker = program.worker(name)
        assert worker.last_restart is not None
        assert worker.last_restart.cause == "memory"
        assert "allowed are" in worker.last_restart.why
    assert program.worker("soft-1").crash_count == 0
    assert program.job(soft).crashes == 0
    dead = program.job(hard)
    assert (dead.crashes, dead.memory_crashes) == (0, 1)
    assert dead.error is not None
    assert dead.error.message.startswith("its worker needed too much memory once, last: uses ")


def test_a_worker_that_hangs_leaves_its_stack_and_a_job_over_its_time_its_children(
    configured: Configured,
) -> None:
    pools = {"blocked": ONCE, "held": ONCE, "late": ONCE | {"timeout": "3s"}}
    beats = {"interval": "300ms", "timeout": "4s"}
    program = configured(pools, heartbeat=beats).start()

    (blocked,) = program.submit("blocked", {"do": "block", "seconds": 60})
    (held,) = program.submit("held", {"do": "hold", "seconds": 60})
    (late,) = program.submit("late", {"do": "parent"})
    program.wait_for_state("failed", blocked, held, late)
    program.wait_until_consuming()

    incidents = {
        worker: (cause, stack)
        for worker, cause, stack in program.ledger("SELECT worker, cause, stack FROM incidents")
    }
    assert [incidents[name][0] for name in ("blocked-1", "held-1", "late-1")] == [
        "hang",
        "hang",
        "timeout",
    ]
    assert "_block" in incidents["blocked-1"][1]
    assert "_hold" in incidents["held-1"][1]
    assert not _is_running(program, "sleep 987")
    job = program.job(late)
    assert job.error is not None
    assert (job.error.code, job.error.message) == ("timeout", "ran longer than 3 s, once")
    assert "allowed are 3 s" in job.history[0].exit


@pytest.mark.rabbitmq
def test_a_worker_that_leaves_in_order_follows_its_policy_and_its_dead_letters_are_minded(
    vhost_url: str, configured: Configured
) -> None:
    pools = {"always": {"restart": "always"}, "failing": {"restart": "on-failure"}}
    program = configured(pools, vhost_url).start()

    for name in ("always-1", "failing-1"):
        pid = program.worker(name).pid
        assert pid is not None
        os.kill(pid, signal.SIGTERM)
    program.wait_for_line("worker restored", worker="always-1")
    program.wait_until(lambda: program.worker("failing-1").state == "stopped", "it to stay down")
    publisher.publish(vhost_url, "failing_queue_dlq", {"name": "foreign"}, message_id="foreign-1")

    program.wait_for_state("failed", "foreign-1")
    assert program.worker("failing-1").pid is None
    assert program.worker("always-1").state == "idle"


def _is_running(program: Program, words: str) -> bool:
    return any(words in " ".join(process.cmdline()) for process in program.survivors())


def test_a_worker_that_crashes_again_and_again_waits_longer_and_is_shown_to(
    configured: Configured,
) -> None:
    program = configured({"toy": {"backoff": {"delay": "300ms"}}}).start()

    for crash in range(1, 4):
        program.wait_until(lambda: program.worker("toy-1").state == "idle", "it to be up again")
        pid = program.worker("toy-1").pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        program.wait_until(partial(_has_crashed, program, crash), "its crash")
    shown = program.cli("workers", "toy-1").stdout

    lines = program.lines("worker crashed", worker="toy-1")
    waits = [line["restart_in"] for line in lines]
    assert waits[0] == 0.3
    assert 0.3 <= waits[1] <= 0.6 <= waits[2] <= 1.2
    assert [line.get("crashes_in_a_row", 1) for line in lines] == [1, 2, 3]
    assert program.worker("toy-1").crashes_in_a_row == 3
    assert "crash loop: 3 crashes in a row" in shown
    assert shown.count("killed by SIGKILL (9)") == 3


def _has_crashed(program: Program, times: int) -> bool:
    return len(program.lines("worker crashed")) == times
