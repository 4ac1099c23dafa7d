"""How ``status`` looks: the house in a line, the workers, the queues."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from supervisor.cli.screen import size, span, table
from supervisor.core.readiness import BROKER, OF_WHAT, Condition
from supervisor.core.records import JobRecord
from supervisor.ports import QueueView, Status, WorkerView

_COLOURS = {
    "processing": "green",
    "running": "green",
    "idle": "cyan",
    "starting": "yellow",
    "restarting": "yellow",
    "stopping": "yellow",
    "draining": "yellow",
    "error": "red",
    "crashed": "red",
    "failed": "bold red",
    "stopped": "dim",
}
_UP = ("idle", "processing")
_BAR = 10  # characters
_FULL = 0.8  # of the memory limit: worth a colour
_LOOP = 3  # crashes in a row that are called a loop


def status_table(status: Status, jobs: dict[str, JobRecord]) -> RenderableType:
    """Return the whole picture; ``jobs`` are those in hand, by id, as far as they are known.

    It fits into 80 columns: what is long stands in lists of its own below the workers.
    """
    parts: list[RenderableType] = [_house(status), _table(status.workers)]
    if any(worker.job for worker in status.workers):
        parts.append(_in_hand(status.workers, jobs))
    if any(worker.last_restart for worker in status.workers):
        parts.append(_restarts(status.workers))
    parts.append(queues_table(status.queues))
    return Group(*(line for part in parts for line in (part, Text())))


def workers_table(workers: tuple[WorkerView, ...]) -> RenderableType:
    """Return the workers, and why they were restarted if they were."""
    shown = _table(workers)
    if any(worker.last_restart for worker in workers):
        return Group(shown, Text(), _restarts(workers))
    return shown


def state_words(worker: WorkerView) -> Text:
    """Return the state of a worker, when it is due if it is down, and what is wrong."""
    text = Text(worker.state, _COLOURS.get(worker.state, ""))
    if worker.restart_in is not None:
        text.append(f", next in {span(worker.restart_in)}")
    elif worker.broker:
        text.append(", broker alarm" if worker.consuming else ", no broker", "red")
    elif worker.holds:
        text.append(", held", "yellow")
    return text


def loop_words(worker: WorkerView) -> str:
    """Return what is to be said of a worker that crashes again and again, else nothing."""
    if worker.crashes_in_a_row < _LOOP:
        return ""
    due = worker.restart_in
    what_now = "it is tried again now" if due is None else f"next start in {span(due)}"
    return f"crash loop: {worker.crashes_in_a_row} crashes in a row, {what_now}"


def memory_words(worker: WorkerView) -> Text:
    """Return what a worker uses, and what it may use."""
    if worker.pid is None:
        return Text("-")
    used = size(worker.memory)
    if worker.memory_limit is None:
        return Text(used)
    limit = size(worker.memory_limit)
    if used.endswith(limit[-2:]):
        used = used[:-3]  # one unit says it for both
    is_full = worker.memory > _FULL * worker.memory_limit
    return Text(f"{used} / {limit}", "yellow" if is_full else "")


def _house(status: Status) -> Text:
    health = status.health
    parts = Text()
    parts.append("● ", _COLOURS.get(status.state, ""))
    parts.append(f"{status.state}", "bold")
    parts.append(f" for {span(status.uptime)}   pid {status.pid}   version {status.version}\n")
    parts.append(f"{_up(status)}   ")
    # A job that was tried three times counts three times.
    runs = "1 run" if health.total_jobs == 1 else f"{health.total_jobs:,} runs"
    went_well = f", {health.success_rate:.1%} went well" if health.total_jobs else ""
    parts.append(f"since start: {runs}{went_well}\n")
    broker = status.broker
    if broker.connected:
        parts.append("broker ").append(broker.address, "green").append("  connected")
    else:
        why = broker.why.removeprefix(f"{broker.address}: ") or "not connected"
        parts.append("broker ").append(broker.address, "red").append(f"  {why}", "red")
    for condition in status.conditions:
        if condition.name != BROKER:  # which is said just above
            parts.append("\n").append_text(_condition(condition))
    for site in status.sites:
        why = f"! {site.name} is left alone for {span(site.seconds)}: {site.why}"
        parts.append("\n").append(why, "yellow")
    for queue in status.queues:
        for warning in queue.warnings:
            parts.append(f"\n! pool {queue.pool}: {warning}", "yellow")
    return parts


def _up(status: Status) -> str:
    """Return how many workers are up, and how many of them take jobs, if not all do."""
    health = status.health
    counted = f"{health.active_workers} of {health.total_workers} workers up"
    idle_or_busy = [each for each in status.workers if each.state in _UP]
    taking = sum(_takes_jobs(each) for each in idle_or_busy)
    if taking == len(idle_or_busy):
        return counted
    return f"{counted}, {taking} {'takes' if taking == 1 else 'take'} jobs"


def _takes_jobs(worker: WorkerView) -> bool:
    return not worker.holds and (worker.consuming or not worker.broker)


def _condition(condition: Condition) -> Text:
    lasts = "" if condition.seconds is None else f" (for {span(condition.seconds)})"
    sentence = condition.sentence.removesuffix(OF_WHAT)  # it is said below
    return Text(f"! {sentence}{lasts}", "yellow" if condition.is_wanted else "red")


def _table(workers: tuple[WorkerView, ...]) -> Table:
    shown = table("Worker", "State")
    for name in ("Pid", "Memory", "CPU", "Up", "Restarts"):
        shown.add_column(name, justify="right", no_wrap=True)
    for worker in workers:
        has_process = worker.pid is not None
        shown.add_row(
            worker.id,
            state_words(worker),
            str(worker.pid) if has_process else "-",
            memory_words(worker),
            f"{worker.cpu:.0f}%" if has_process else "-",
            span(worker.uptime) if has_process else "-",
            Text(str(worker.restarts), "" if worker.restarts else "dim"),
        )
    return shown


def _in_hand(workers: tuple[WorkerView, ...], jobs: dict[str, JobRecord]) -> Table:
    shown = table("In hand", "Job", "Progress", "Doing")
    for worker in workers:
        for job_id in worker.jobs or ((worker.job,) if worker.job else ()):
            job = jobs.get(job_id)
            progress = _bar(job.progress) if job else Text("-", "dim")
            shown.add_row(worker.id, Text(job_id), progress, Text(job.note if job else ""))
    return shown


def _bar(percent: float) -> Text:
    done = round(min(max(percent, 0.0), 100.0) / 100 * _BAR)
    bar = Text("━" * done, "green").append("━" * (_BAR - done), "bright_black")
    return bar.append(f" {percent:3.0f}%", "default")


def _restarts(workers: tuple[WorkerView, ...]) -> Table:
    shown = table("Restarted", "Cause")
    shown.add_column("Why", overflow="fold")
    for worker in workers:
        if last := worker.last_restart:
            why = Text(last.why)
            if last.jobs:
                why.append(f"  job {', '.join(last.jobs)}", "dim")
            if loop := loop_words(worker):
                why.append(f"\n{loop}", "red")
            shown.add_row(worker.id, Text(last.cause, "yellow"), why)
    return shown


def queues_table(queues: tuple[QueueView, ...]) -> Table:
    """Return what the queues hold."""
    shown = table("Queue")
    for name in ("Ready", "Active", "Delayed", "Completed", "Dead"):
        shown.add_column(name, justify="right", no_wrap=True)
    shown.add_column("")
    for queue in queues:
        shown.add_row(
            queue.queue,
            "?" if queue.ready is None else f"{queue.ready:,}",
            f"{queue.active:,}",
            f"{queue.delayed:,}",
            f"{queue.completed:,}",
            Text(f"{queue.dead:,}", "red" if queue.dead else ""),
            _remark(queue),
        )
    return shown


def _remark(queue: QueueView) -> Text:
    if queue.paused:
        return Text("paused", "yellow")
    return Text(f"{queue.limit}, waiting for its rate" if queue.is_waiting else queue.limit)
