"""Playing the demo: the stage is built, the scenes are played, everything is taken down again."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.text import Text

from supervisor.client import Client, NoSupervisorError
from supervisor.demo import screen
from supervisor.demo.scenes import (
    Actors,
    LateError,
    a_broken_link,
    a_killed_worker,
    all_goes_well,
)
from supervisor.demo.screen import Screen
from supervisor.demo.script import Mark, Scene
from supervisor.demo.site import Site
from supervisor.demo.stage import Stage, StageError
from supervisor.ports import ControlError, Status

STATUS_EVERY = 0.4  # seconds between two looks at the workers

Play = Callable[[Actors, Scene], None]


def play(
    *,
    broker: str,
    output: Path,
    console: Console | None = None,
    progress: Console | None = None,
) -> int:
    """Play the demo; return 0 if every scene ended as it should, 1 otherwise.

    Args:
        broker: ``embedded``, or the URL of a RabbitMQ.
        output: where the files go; what an earlier demo left there is replaced.
        console: where the end is drawn; None for stdout.
        progress: where the way there is drawn; None for the same.
    """
    console = console or Console()
    progress = progress or console
    started = time.monotonic()
    try:
        stage = Stage(_emptied(output.absolute()))
        progress.print(Text("Making a video and starting a supervisor ...", style="dim"))
        stage.make_clip()
        site = Site(stage.clip)
        with site.open():
            stage.write_configuration(broker=broker, notices=f"{site.url}/notices")
            scenes = _perform(stage, site, progress)
    except StageError as error:
        console.print(Text(f"The demo cannot be played: {error}", style="red"))
        return 1
    for scene in scenes:
        scene.files = stage.exhibit(scene.title, scene.files)
    console.print(screen.finale(scenes, site.notices, stage.folder))
    good = all(scene.went_well for scene in scenes)
    console.print(_verdict(good=good, took=time.monotonic() - started, log=stage.log))
    return 0 if good else 1


def _programme() -> list[tuple[Scene, Play]]:
    return [
        (Scene("All goes well", "a link becomes a video, pieces and a preview"), all_goes_well),
        (Scene("A broken link", "no second try, a dead letter, the user knows"), a_broken_link),
        (Scene("A killed worker", "replaced, and its job is done all the same"), a_killed_worker),
    ]


def _perform(stage: Stage, site: Site, console: Console) -> list[Scene]:
    programme = _programme()
    scenes = [scene for scene, _ in programme]
    with Screen(console) as drawn, stage.supervisor() as client:
        glance = _Glance(client)
        actors = Actors(client, site, lambda: drawn.show(scenes, glance.status()))
        for scene, act in programme:
            try:
                act(actors, scene)
            except (LateError, ControlError, NoSupervisorError) as error:
                step = scene.steps[-1] if scene.steps else scene.step(scene.title)
                step.mark, step.said = Mark.BAD, f"did not happen: {error}"
            drawn.show(scenes, glance.status())
    return scenes


class _Glance:
    """The workers as they were a moment ago: asked for often, looked up less often."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._seen: Status | None = None
        self._at = float("-inf")

    def status(self) -> Status | None:
        """Return a recent status, None when nobody answers."""
        if time.monotonic() - self._at >= STATUS_EVERY:
            self._at = time.monotonic()
            try:
                self._seen = self._client.status()
            except (ControlError, NoSupervisorError):
                self._seen = None
        return self._seen


def _emptied(folder: Path) -> Path:
    """Return the folder, empty; only what a demo left is thrown away."""
    is_ours = Stage(folder).configuration.exists()
    if folder.exists() and any(folder.iterdir()) and not is_ours:
        why = f"{folder} holds other things than a demo's; name another folder with --output"
        raise StageError(why)
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        why = f"{folder} cannot be used: {error.strerror}; name another folder with --output"
        raise StageError(why) from error
    return folder


def _verdict(*, good: bool, took: float, log: Path) -> Text:
    if good:
        return Text(f"✓ Every scene ended as it should, in {took:.0f} s.", style="bold green")
    return Text(f"✗ Not every scene ended as it should; see {log}.", style="bold red")
