"""What the demo shows: scenes with their steps, the workers below, a table at the end."""

import time
from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from supervisor.demo.script import Mark, Scene, Step
from supervisor.demo.site import Notice
from supervisor.ports import Status

MARKS = {
    Mark.WAITING: ("·", "dim"),
    Mark.RUNNING: ("◌", "yellow"),
    Mark.GOOD: ("✓", "bold green"),
    Mark.BAD: ("✗", "bold red"),
}
STATES = {"idle": "green", "processing": "bold cyan", "crashed": "bold red"}
SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
BAR = 24  # columns


class Screen:
    """Draws the scenes; on a terminal alive, elsewhere a line for each step that ended."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._said: set[int] = set()

    def __enter__(self) -> "Screen":
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, scenes: Sequence[Scene], status: Status | None) -> None:
        """Draw how it stands."""
        if self._console.is_terminal:
            drawn = [_scene(scene, number) for number, scene in enumerate(scenes, 1)]
            workers = [_workers(status)] if status else []
            self._live.update(Group(*drawn, *workers), refresh=True)
            return
        for scene in scenes:
            for step in scene.steps:
                if step.mark in {Mark.GOOD, Mark.BAD} and id(step) not in self._said:
                    self._said.add(id(step))
                    self._console.print(_step_line(step))


def finale(scenes: Sequence[Scene], notices: Sequence[Notice], folder: Path) -> RenderableType:
    """Return the last screen: what happened, what the user was told, where the files are."""
    table = Table(expand=True, box=box.ROUNDED, show_header=False, border_style="dim")
    table.add_column(width=1)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(ratio=1, overflow="fold")
    for number, scene in enumerate(scenes, 1):
        table.add_section()
        title = Text(f"{number}. {scene.title}", style="bold magenta")
        table.add_row("", title, Text(scene.lesson, style="italic"))
        for step in scene.steps:
            mark, style = MARKS[step.mark]
            table.add_row(Text(mark, style=style), step.title, Text(step.said))
    return Group(table, _told(notices), _where(scenes, folder))


def _where(scenes: Sequence[Scene], folder: Path) -> RenderableType:
    lines = Text()
    for scene in scenes:
        for path in scene.files:
            lines.append(f" {path.relative_to(folder)}", style=f"cyan link {path.as_uri()}")
            lines.append(f"  {path.stat().st_size / 1e6:.2f} MB\n", style="dim")
    lines.rstrip()
    return Panel(lines, title=f"files in {folder}", border_style="dim", title_align="left")


def _scene(scene: Scene, number: int) -> RenderableType:
    lines = Table.grid(padding=(0, 1))
    for step in scene.steps:
        lines.add_row(_mark(step), step.title, _bar(step), Text(step.said, style="dim"))
    body: RenderableType = lines if scene.steps else Text(scene.lesson, style="dim")
    style = "green" if scene.steps and scene.went_well else "blue"
    return Panel(body, title=f"{number}. {scene.title}", title_align="left", border_style=style)


def _mark(step: Step) -> Text:
    mark, style = MARKS[step.mark]
    if step.mark is Mark.RUNNING:
        mark = SPINNER[int(time.monotonic() * 10) % len(SPINNER)]
    return Text(mark, style=style)


def _bar(step: Step) -> RenderableType:
    if step.percent is None or step.mark is not Mark.RUNNING:
        return Text("")
    return ProgressBar(total=100, completed=step.percent, width=BAR)


def _step_line(step: Step) -> Text:
    mark, style = MARKS[step.mark]
    return Text.assemble((mark, style), f" {step.title}: ", (step.said, "dim"))


def _workers(status: Status) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    for worker in status.workers:
        cause = worker.last_restart.cause if worker.last_restart else ""
        restarts = f"{worker.restarts} restart ({cause})" if worker.restarts else ""
        pid = str(worker.pid) if worker.pid else "-"
        memory = f"{worker.memory / 1e6:.0f} MB" if worker.memory else ""
        state = Text(worker.state, style=STATES.get(worker.state, "yellow"))
        table.add_row(worker.id, pid, state, memory, Text(restarts, style="red"))
    return Panel(table, title="workers", title_align="left", border_style="dim")


def _told(notices: Sequence[Notice]) -> RenderableType:
    lines = Text()
    for notice in notices:
        good = notice.error is None
        lines.append(" ✉ ", style="green" if good else "red")
        lines.append(f"{notice.sender}", style="bold")
        lines.append(f" {notice.event} {notice.queue_name}: ", style="dim")
        lines.append(f"{_gist(notice)}\n")
    lines.rstrip()
    return Panel(lines, title="what the user was told", title_align="left", border_style="dim")


def _gist(notice: Notice) -> str:
    if notice.error is not None:
        return notice.error.message
    names = [Path(result).name for result in notice.results]
    return names[0] if len(names) == 1 else f"{len(names)} files"
