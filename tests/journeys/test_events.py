"""What happens is told: over HTTP, to an exchange in RabbitMQ, and to the user's own functions."""

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from supervisor.client import Client, NoSupervisorError
from supervisor.ports import Event
from tests.journeys.conftest import Configured
from tests.support import publisher
from tests.support.program import Program

pytestmark = [pytest.mark.journey, pytest.mark.timeout(90)]

HOOKS = "tests.support.hooks_of_a_user"
EXCHANGE = "supervisor.events"


@dataclass
class Ear:
    """Hears all events of a program, from a thread."""

    heard: list[Event] = field(default_factory=list)
    connected: threading.Event = field(default_factory=threading.Event)

    def listen(self, socket: Path) -> None:
        with contextlib.suppress(NoSupervisorError), Client(socket) as client:
            for event in client.events(connected=self.connected.set):
                self.heard.append(event)

    def of(self, job: str) -> list[str]:
        return [event.name for event in self.heard if event.id == job]

    def first(self, name: str, **about: str) -> Event:
        fitting = (event for event in self.heard if event.name == name)
        return next(e for e in fitting if all(getattr(e, k) == v for k, v in about.items()))


@contextlib.contextmanager
def ear(program: Program) -> Iterator[Ear]:
    listening = Ear()
    thread = threading.Thread(target=listening.listen, args=(program.socket,), daemon=True)
    thread.start()
    assert listening.connected.wait(10)
    yield listening
    if program.is_running:
        program.stop()
    thread.join(20)


def until(program: Program, is_over: Callable[[], object], what: str) -> None:
    program.wait_until(is_over, what)


def test_every_step_of_a_job_and_of_a_worker_is_told_with_its_fields(
    driver: str, configured: Configured
) -> None:
    program = configured({"toy": {}}, driver).start()
    program.may_raise = True
    with ear(program) as listening:
        good, again, dead = program.submit(
            "toy",
            {"do": "nothing", "name": "good"},
            {"do": "fail", "times": 1, "name": "again"},
            {"do": "reject", "name": "dead"},
        )
        program.wait_for_state("completed", good, again)
        program.wait_for_state("failed", dead)
        (killer,) = program.submit("toy", {"do": "die", "name": "killer", "times": 1})
        until(program, lambda: "delayed" in listening.of(killer), "the killer to wait")

    assert listening.of(good) == ["waiting", "active", "completed"]
    assert listening.of(again) == ["waiting", "active", "retrying", "active", "completed"]
    assert listening.of(dead) == ["waiting", "active", "failed"]
    active, completed = listening.first("active", id=good), listening.first("completed", id=good)
    assert active.data == {"data": {"do": "nothing", "name": "good"}, "attempt": 1}
    assert completed.queue == "toy_queue"
    assert completed.worker == "toy-1"
    assert set(completed.data) == {"result", "duration"}
    assert completed.data["result"] == {"data": {"name": "good", "attempt": 1}}
    failed = listening.first("failed", id=dead)
    assert (failed.data["error"], failed.data["code"]) == ("never again", "unwanted")
    assert isinstance(failed.data["duration"], float)
    assert set(listening.first("retrying", id=again).data) == {"error", "delay", "duration"}
    crashed = listening.first("worker.crashed", worker="toy-1")
    assert crashed.data["cause"] == "crash"
    assert crashed.data["why"]
    assert {"worker.started", "worker.idle", "worker.stopping", "worker.stopped"} <= {
        event.name for event in listening.heard
    }


@pytest.mark.rabbitmq
def test_a_job_of_another_program_is_waiting_when_we_learn_of_it(
    vhost_url: str, configured: Configured
) -> None:
    program = configured({"toy": {}}, vhost_url).start()
    with ear(program) as listening:
        publisher.publish(vhost_url, "toy_queue", {"do": "nothing"}, message_id="theirs")
        until(program, lambda: "completed" in listening.of("theirs"), "it to be done")

    assert listening.of("theirs") == ["waiting", "active", "completed"]


@pytest.mark.rabbitmq
def test_other_programs_hear_events_from_a_durable_exchange(
    vhost_url: str, configured: Configured
) -> None:
    program = configured({"toy": {}}, vhost_url).start()
    with publisher.channel_to(vhost_url) as channel:
        channel.exchange_declare(EXCHANGE, "topic", durable=True)  # as it is, or this is refused
        channel.queue_declare("mine", durable=True)
        channel.queue_bind("mine", EXCHANGE, "toy_queue.completed")
        channel.queue_declare("ends", durable=True)
        channel.queue_bind("ends", EXCHANGE, "worker.stopping")
        channel.queue_bind("ends", EXCHANGE, "worker.stopped")

    (job,) = program.submit("toy", {"do": "nothing", "name": "one"})
    body, properties = publisher.take(vhost_url, "mine")
    told = json.loads(body)
    view = program.status().events

    assert (told["name"], told["id"], told["queue"]) == ("completed", job, "toy_queue")
    assert told["result"] == {"data": {"name": "one", "attempt": 1}}
    assert (properties.type, properties.content_type) == ("completed", "application/json")
    assert properties.message_id
    assert properties.timestamp
    assert properties.delivery_mode == 2
    assert view is not None
    assert (view.exchange, view.missed, view.why) == (EXCHANGE, 0, "")
    assert view.published >= 3
    program.stop()
    last = [publisher.take(vhost_url, "ends")[1].type for _ in range(2)]
    assert last == ["worker.stopping", "worker.stopped"]


@pytest.mark.rabbitmq
def test_events_are_published_as_far_as_they_are_wanted(
    vhost4_url: str, configured: Configured
) -> None:
    events = {"exchange": "house.news", "only": ["failed", "worker.*"]}
    program = configured({"toy": {}}, vhost4_url, events=events)
    silent = configured({"other": {}}, vhost4_url, events={"exchange": "off"})
    with publisher.channel_to(vhost4_url) as channel:
        channel.exchange_declare("house.news", "topic", durable=True)
        channel.queue_declare("mine", durable=True)
        channel.queue_bind("mine", "house.news", "#")
    program.start()
    silent.start()

    program.submit("toy", {"do": "nothing"}, {"do": "reject"})
    heard = [str(publisher.take(vhost4_url, "mine")[1].type) for _ in range(3)]

    assert sorted(heard) == ["failed", "worker.idle", "worker.started"]
    assert silent.status().events is None


def test_hooks_hear_what_they_are_named_for_and_harm_nobody(
    driver: str, configured: Configured, tmp_path: Path
) -> None:
    notes = tmp_path / "notes"
    program = configured(
        {"toy": {}}, driver, hooks=[HOOKS, f"{HOOKS}:everything"], hook_timeout="1s"
    )
    program.may_raise = True
    program.start(HOOK_NOTES=str(notes))

    raising, hanging, leaving, good = program.submit(
        "toy",
        *({"do": "nothing", "hook": deed} for deed in ("raise", "hang", "exit")),
        {"do": "reject"},
    )
    program.wait_for_state("completed", raising, hanging, leaving)
    until(program, lambda: _noted(notes, "on_failed", good), "the hook of the failure")
    program.stop()

    assert _noted(notes, "on_worker_idle")
    assert _noted(notes, "on_active", good)
    assert not _noted(notes, "on_active", raising)
    assert _noted(notes, "on_completed", raising)
    assert _noted(notes, "everything completed")
    said = {line["hook"]: line["why"] for line in program.lines("hook failed")}
    assert set(said) == {f"{HOOKS}.on_active"}
    words = [line["why"] for line in program.lines("hook failed")]
    assert words[0].startswith("ValueError: this hook does not like it (hooks_of_a_user.py, line")
    assert any("took longer than 1 s" in each for each in words)
    assert any("ended the process of the hooks" in each for each in words)


def test_a_mistake_in_a_hook_is_found_by_check_without_a_traceback(
    configured: Configured, tmp_path: Path
) -> None:
    hooks = ["tests.support.hooks_of_nobody", f"{HOOKS}:on_complete", "tests.support.waiting"]
    program = configured({"toy": {}}, hooks=hooks)

    checked = program.cli("check")

    assert checked.returncode == 78
    assert "hooks[0]: tests.support.hooks_of_nobody: there is no module" in checked.stderr
    assert "module tests.support.hooks_of_a_user has no 'on_complete'" in checked.stderr
    assert "hooks[2]: tests.support.waiting: has no function named on_completed" in checked.stderr
    assert "Traceback" not in checked.stderr


def _noted(notes: Path, *words: str) -> bool:
    text = notes.read_text() if notes.exists() else ""
    return any(all(word in line for word in words) for line in text.splitlines())
