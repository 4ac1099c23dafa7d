"""The demo's stage: a folder, a clip, a configuration, and a real supervisor that runs it."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from supervisor.client import Client, NoSupervisorError

PATIENCE = 30.0  # seconds for the supervisor to come up, and to go down
LOOK_EVERY = 0.1  # seconds

CONFIGURATION = """\
# What the demo runs: the default pools, with short delays so that you need not wait.
broker: {broker}
state: {folder}/state
ledger: sqlite:///{folder}/state/ledger.db
media: {{root: {folder}}}
workers:
  download:
    {{queue: {prefix}download_queue, processor: workers.download, instances: 2, memory: 512MB,
      cpu: 0.5, restart: always, backoff: {{delay: 1s}}, retry: {{attempts: 3, delay: 1s}},
      options: {{allow: [127.0.0.0/8]}}}}    # its site is on this machine, which is not public
  cutter:
    {{queue: {prefix}cutter_queue, processor: workers.cutter, instances: 1, memory: 1GB,
      cpu: 1.0, restart: on-failure}}
  preview:
    {{queue: {prefix}preview_queue, processor: workers.preview, instances: 1, memory: 512MB,
      cpu: 1.0, restart: unless-stopped}}
notify:
  sinks:
    - log: true
    - webhook: {{url: "{notices}"}}
logs: {{format: console}}
"""


class StageError(Exception):
    """The demo cannot be played here; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Stage:
    """The demo's folder and what lies in it."""

    folder: Path

    @property
    def clip(self) -> Path:
        """The video that the site serves."""
        return self.folder / "source" / "clip.mp4"

    @property
    def configuration(self) -> Path:
        """The file that the supervisor runs with."""
        return self.folder / "demo.yaml"

    @property
    def log(self) -> Path:
        """What the supervisor and its workers said."""
        return self.folder / "supervisor.log"

    @property
    def socket(self) -> Path:
        """Where the supervisor can be asked."""
        return self.folder / "state" / "supervisor.sock"

    def make_clip(self) -> None:
        """Make the video. Raises StageError without ffmpeg."""
        self.clip.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "workers.media.tools.demo_clip", str(self.clip)]
        made = subprocess.run(command, capture_output=True, text=True, check=False)
        if made.returncode != 0:
            why = made.stderr.strip() or f"exit code {made.returncode}"
            raise StageError(why)

    def write_configuration(self, *, broker: str, notices: str) -> None:
        """Write the file the supervisor runs with.

        On a broker that others use the queues have names of their own.
        """
        prefix = "" if broker == "embedded" else "demo_"
        text = CONFIGURATION.format(
            broker=broker, folder=self.folder, prefix=prefix, notices=notices
        )
        self.configuration.write_text(text)
        self.configuration.chmod(0o600)

    def exhibit(self, scene: str, files: Sequence[Path]) -> list[Path]:
        """Lay a scene's files out under names for people; return where they are."""
        place = self.folder / scene.lower().replace(" ", "-")
        shown = [place / file.name for file in files]
        for file, path in zip(files, shown, strict=True):
            place.mkdir(exist_ok=True)
            with contextlib.suppress(FileExistsError):
                os.link(file, path)
        return shown

    @contextlib.contextmanager
    def supervisor(self) -> Iterator[Client]:
        """Run a supervisor for as long as the block lasts; yield the way to ask it.

        Raises:
            StageError: it did not come up.
        """
        command = [sys.executable, "-m", "supervisor", "-c", str(self.configuration)]
        with self.log.open("wb") as log:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=_environment()
            )
        try:
            with Client(self.socket) as client:
                self._wait_for(process, client)
                yield client
        finally:
            _end(process)

    def _wait_for(self, process: "subprocess.Popen[bytes]", client: Client) -> None:
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            if process.poll() is not None:
                break
            with contextlib.suppress(NoSupervisorError):
                if all(worker.consuming for worker in client.status().workers):
                    return
            time.sleep(LOOK_EVERY)
        last = "\n".join(self.log.read_text(errors="replace").splitlines()[-5:])
        why = f"the supervisor did not come up; the end of {self.log} says:\n{last}"
        raise StageError(why)


def _environment() -> dict[str, str]:
    """Return our environment without what would lead a loopback link to a proxy."""
    return {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
