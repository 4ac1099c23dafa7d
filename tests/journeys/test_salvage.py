"""A supervisor is killed that has not written down what was done: none of it is done again."""

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest

from tests.journeys.conftest import Configured
from tests.support import processors, publisher
from tests.support.program import Program

pytestmark = [pytest.mark.journey, pytest.mark.timeout(90)]

POOL = {"toy": {"concurrency": 2, "retry": {"delay": "0s"}}}


def handed_in(program: Program) -> int:
    """Return how many outcomes the workers have handed in."""
    files = (program.folder / "state" / "spool").glob("*/*.jsonl")
    return sum(file.read_bytes().count(b'"handed-in"') for file in files)


@contextmanager
def unheard(program: Program) -> Iterator[None]:
    """Have the coordinator hear nothing of what happens in the block, and be killed at its end."""
    coordinator = program.status().pid
    os.kill(coordinator, signal.SIGSTOP)
    yield
    os.kill(coordinator, signal.SIGKILL)
    program.wait()
    program.wait_until_gone()


def attempts(program: Program) -> Mapping[str, list[int]]:
    """Return which attempts each job has begun, by name."""
    begun: dict[str, list[int]] = {}
    for run in processors.runs(program.media):
        begun.setdefault(run.name, []).append(run.attempt)
    return begun


def test_a_job_that_had_ended_is_not_done_again(configured: Configured, driver: str) -> None:
    program = configured(POOL, driver).start()
    program.may_raise = True
    well = {"do": "wait", "gate": "end", "name": "well"}
    badly = {"do": "wait and fail", "gate": "end", "name": "badly", "times": 1}
    ids = program.submit("toy", well) + program.submit("toy", badly)
    program.wait_for_count("active", 2)

    with unheard(program):
        processors.open_gate(program.media, "end")
        program.wait_until(lambda: handed_in(program) == 2, "both outcomes to be handed in")
    program.start()
    for job_id in ids:
        program.wait_for_state("completed", job_id)

    assert attempts(program) == {"well": [1], "badly": [1, 2]}
    assert [program.job(job_id).attempts for job_id in ids] == [0, 1]
    assert "outcomes of the run before written down" in program.log


@pytest.mark.rabbitmq
@pytest.mark.invariant(1)
def test_of_equal_messages_each_is_done_once(configured: Configured, any_vhost_url: str) -> None:
    program = configured(POOL, any_vhost_url).start()
    equal = {"do": "wait", "gate": "end", "name": "equal"}
    publisher.publish(any_vhost_url, "toy_queue", equal, equal, equal)
    program.wait_until(lambda: len(attempts(program).get("equal", ())) == 2, "two to begin")

    with unheard(program):
        processors.open_gate(program.media, "end")
        program.wait_until(lambda: handed_in(program) == 2, "two outcomes to be handed in")
    program.start()
    program.wait_for_count("completed", 3)
    publisher.wait_until_empty(any_vhost_url, "toy_queue", "toy_queue.priority")

    assert attempts(program) == {"equal": [1, 1, 1]}
    assert program.stop() == 0
    assert handed_in(program) == 0


@pytest.mark.rabbitmq
def test_the_last_attempt_that_failed_is_not_made_again(
    configured: Configured, any_vhost_url: str
) -> None:
    program = configured({"toy": {"retry": {"attempts": 1}}}, any_vhost_url).start()
    program.may_raise = True
    bad = {"do": "wait and fail", "gate": "end", "name": "bad", "times": 1}
    publisher.publish(any_vhost_url, "toy_queue", bad)
    program.wait_for_count("active", 1)

    with unheard(program):
        processors.open_gate(program.media, "end")
        program.wait_until(lambda: handed_in(program) == 1, "the failure to be handed in")
    program.start()
    program.wait_for_count("failed", 1)
    publisher.wait_until_empty(any_vhost_url, "toy_queue", "toy_queue_dlq")

    assert attempts(program) == {"bad": [1]}
    assert program.count("active") == 0
