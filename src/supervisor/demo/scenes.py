"""The three scenes: all goes well, a broken link, a worker killed in the middle of its job."""

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from supervisor.client import Client
from supervisor.core.records import JobRecord, JobState
from supervisor.demo.script import Mark, Scene, Step
from supervisor.demo.site import Notice, Site
from supervisor.ports import Order, WorkerView

PATIENCE = 60.0  # seconds for one step
LOOK_EVERY = 0.1  # seconds
PIECE = 10  # seconds of video in each piece
USER = "ana"


class LateError(Exception):
    """Something that should happen did not happen in time."""


@dataclass(frozen=True, slots=True)
class Actors:
    """Who plays: the supervisor, the site, and the screen that is shown after every look."""

    client: Client
    site: Site
    show: Callable[[], None]

    def wait(self, until: Callable[[], bool], what: str) -> None:
        """Look again and again, showing what there is to see. Raises LateError."""
        deadline = time.monotonic() + PATIENCE
        while not until():
            if time.monotonic() > deadline:
                raise LateError(what)
            self.show()
            time.sleep(LOOK_EVERY)
        self.show()

    def send(self, pool: str, **data: object) -> str:
        """Publish a job on behalf of the demo's user and return its id."""
        return self.client.submit(Order(pool, {"from": USER, **data})).id


def all_goes_well(actors: Actors, scene: Scene) -> None:
    """Download, cut and preview one video; each job follows from the one before."""
    video = _first_file(_do(actors, scene, "download", link=f"{actors.site.url}/clip.mp4"))
    _do(actors, scene, "cutter", filePath=video, segmentTime=PIECE)
    _do(actors, scene, "preview", filePath=video)
    _expect_notices(actors, scene, "job.completed", 3)


def a_broken_link(actors: Actors, scene: Scene) -> None:
    """Ask for what is not there: one attempt, a dead letter, a notice."""
    step = scene.step("download what is gone")
    job = _follow(actors, actors.send("download", link=f"{actors.site.url}/gone.mp4"), step)
    _judge(step, job.state is JobState.FAILED, _why(job))
    step = scene.step("record it as a dead letter")
    dead = sum(queue.dead for queue in actors.client.status().queues)
    _judge(step, dead == 1, f"{dead} in the ledger: its bytes, its error, every attempt")
    _expect_notices(actors, scene, "job.failed", 1)


def a_killed_worker(actors: Actors, scene: Scene) -> None:
    """Kill a worker in the middle of a download: the job is done all the same, by another."""
    before = sum(notice.event == "job.completed" for notice in actors.site.notices)
    step = scene.step("download, slowly")
    job_id = actors.send("download", link=f"{actors.site.url}/slow.mp4")
    victim = _victim(actors, job_id, step)
    killing = scene.step(f"kill -9 {victim.id}")
    os.kill(victim.pid or 0, signal.SIGKILL)
    actors.wait(lambda: _restarts(actors, victim) > victim.restarts, "the replacement")
    again = _worker(actors, victim.id)
    exit_words = again.last_restart.exit if again.last_restart else "unknown"
    cause = exit_words.partition(",")[0]
    _judge(killing, again.pid != victim.pid, f"pid {victim.pid}: {cause}; replaced by {again.pid}")
    job = _follow(actors, job_id, step)
    _judge(step, job.state is JobState.COMPLETED and job.crashes == 1, _what_came(job))
    scene.files += _files(job)
    _expect_notices(actors, scene, "job.completed", 1, before=before)


# --- what a step is made of --------------------------------------------------------------------


def _do(actors: Actors, scene: Scene, pool: str, **data: object) -> JobRecord:
    names = {"download": "download a video", "cutter": f"cut it, {PIECE} s at most"}
    step = scene.step(names.get(pool, "preview it"))
    job = _follow(actors, actors.send(pool, **data), step)
    _judge(step, job.state is JobState.COMPLETED, _what_came(job))
    scene.files += _files(job)
    return job


def _follow(actors: Actors, job_id: str, step: Step) -> JobRecord:
    """Watch a job to its end, its progress in the step."""
    started = time.monotonic()

    def is_over() -> bool:
        job = actors.client.job(job_id)
        step.percent = 100.0 if job.state is JobState.COMPLETED else job.progress
        step.said = f"{job.worker} {job.note}".strip()
        step.seconds = time.monotonic() - started
        return job.state.is_final

    actors.wait(is_over, step.title)
    return actors.client.job(job_id)


def _victim(actors: Actors, job_id: str, step: Step) -> WorkerView:
    """Wait until a job is well under way and return the worker that has it."""

    def is_under_way() -> bool:
        job = actors.client.job(job_id)
        step.percent, step.said = job.progress, f"{job.worker} {job.note}".strip()
        return job.state is JobState.ACTIVE and job.progress >= 20

    actors.wait(is_under_way, step.title)
    status = actors.client.status()
    return next(worker for worker in status.workers if job_id in worker.jobs)


def _expect_notices(
    actors: Actors, scene: Scene, event: str, count: int, *, before: int = 0
) -> None:
    """Wait for so many new notices; ``before`` is how many of that kind earlier scenes had."""
    step = scene.step(f"tell {USER}")

    def told() -> list[Notice]:
        return [notice for notice in actors.site.notices if notice.event == event]

    actors.wait(lambda: len(told()) >= before + count, f"{count} notices {event}")
    new = len(told()) - before
    _judge(step, new == count, _counted(new, event, before=before))


def _counted(count: int, event: str, *, before: int) -> str:
    said = f"one {event}" if count == 1 else f"{count} {event}, one for each job"
    return f"{said}; with scene 1 that makes {before + count}" if before else said


def _restarts(actors: Actors, victim: WorkerView) -> int:
    worker = _worker(actors, victim.id)
    return worker.restarts if worker.consuming and worker.pid else 0


def _worker(actors: Actors, worker_id: str) -> WorkerView:
    return next(one for one in actors.client.status().workers if one.id == worker_id)


def _judge(step: Step, good: bool, said: str) -> None:  # noqa: FBT001 - the verdict itself
    step.mark = Mark.GOOD if good else Mark.BAD
    step.said = said
    step.percent = None


def _first_file(job: JobRecord) -> str:
    return str(_files(job)[0])


def _files(job: JobRecord) -> list[Path]:
    files = (job.result or {}).get("files", ())
    return [Path(file["path"]) for file in files] if isinstance(files, list | tuple) else []


def _what_came(job: JobRecord) -> str:
    if job.state is not JobState.COMPLETED:
        return _why(job)
    files = _files(job)
    what = files[0].name if len(files) == 1 else f"{len(files)} files"
    crashed = ", after the death of its first worker" if job.crashes else ""
    return f"{what} by {job.worker}{crashed}"


def _why(job: JobRecord) -> str:
    error = job.error.message if job.error else "no error was recorded"
    return f"{job.state.value} after {job.attempts} attempt: {error}"
