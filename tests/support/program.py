"""The program as operators run it: started from a file, asked over its socket, ended by signals.

Everything of one program lies below one folder. A mark in its environment, which all that it
starts inherits, finds what it left behind.
"""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import psutil

from supervisor.client import Client, NoSupervisorError
from supervisor.core.records import JobRecord
from supervisor.ports import Order, Status, WorkerView
from tests.support import blank_ledgers
from tests.support.waiting import wait_until

REPOSITORY = Path(__file__).parents[2]
MARK = "RABBIT_SUPERVISOR_TEST_PROGRAM"
START = 40.0  # seconds until it answers and all workers consume, on a busy machine
END = 40.0  # seconds until it has left

Pools = Mapping[str, Mapping[str, object]]


class Program:
    """One configuration and the process that runs it, if it runs."""

    def __init__(self, folder: Path, document: Mapping[str, object]) -> None:
        self.folder = folder
        self.config = folder / "supervisor.yaml"
        self.log_file = folder / "program.log"
        self.media = folder / "media"
        self.process: subprocess.Popen[bytes] | None = None
        self.has_ledger = True  # when it starts the first time: making one takes half a second
        self.may_raise = False  # a processor's own exceptions are logged with their traceback
        self.module: tuple[str, ...] = ("supervisor",)  # what `python -m` runs
        self.behind: tuple[str, ...] = ()  # a command that becomes the one behind it
        self._mark = str(folder)
        kind, _, file = str(document.get("ledger", "")).partition("///")
        self._ledger_file = Path(file) if kind == "sqlite:" else None
        folder.mkdir(parents=True, exist_ok=True)
        self.config.write_bytes(msgspec.yaml.encode(document))

    # --- its life ---------------------------------------------------------------------------

    def start(self, *, wait: bool = True, **environment: str) -> "Program":
        """Start it; with ``wait`` return when every worker consumes."""
        if self.has_ledger and (file := self._ledger_file) and file.parent.exists():
            blank_ledgers.lay(file)
        command = [*self.behind, sys.executable, "-m", *self.module, "-c", str(self.config)]
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                cwd=REPOSITORY,
                env=self._environment() | environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        if wait:
            self.wait_until_consuming()
        return self

    def send(self, number: signal.Signals) -> None:
        """Send it a signal as a terminal or systemd does."""
        assert self.process is not None
        self.process.send_signal(number)

    def wait(self, within: float = END) -> int:
        """Return its exit code once it has left."""
        assert self.process is not None
        try:
            return self.process.wait(within)
        except subprocess.TimeoutExpired as error:
            message = f"still there after {within:g} s; its log ends:\n{self.log[-3000:]}"
            raise TimeoutError(message) from error

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to stop and return its exit code."""
        self.send(number)
        return self.wait()

    def crash(self, after: float = 0.0) -> None:
        """Kill the coordinator and return when all is gone: no goodbye, nothing given back.

        The process that was started is its guard: without that one it stops in order.
        """
        with self.crashing(after):
            pass

    @contextlib.contextmanager
    def crashing(self, after: float) -> Iterator[None]:
        """Crash it so many seconds from now, while the block goes on; behind it all is gone."""
        killing = threading.Timer(after, os.kill, (self.status().pid, signal.SIGKILL))
        killing.start()
        yield
        killing.join()
        self.wait()
        self.wait_until_gone()

    def end(self) -> None:
        """Bring it down if it is still there, politely first; kill whatever is left."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(END)
        for process in self.survivors():
            with contextlib.suppress(psutil.Error):
                process.kill()
        if self.process is not None:
            self.process.wait(END)

    def survivors(self) -> list[psutil.Process]:
        """Return all living processes that this program started, itself included."""
        return list(self._marked())

    def wait_until_gone(self, within: float = 15.0) -> None:
        """Wait until nothing that it started is left."""
        wait_until(lambda: not self.survivors(), within=within, what="all its processes to be gone")

    # --- asking it --------------------------------------------------------------------------

    @property
    def socket(self) -> Path:
        return self.folder / "state" / "supervisor.sock"

    def status(self) -> Status:
        with Client(self.socket) as client:
            return client.status()

    def worker(self, name: str) -> WorkerView:
        """Return one worker as `status --json` shows it."""
        return next(worker for worker in self.status().workers if worker.id == name)

    def job(self, job_id: str) -> JobRecord:
        with Client(self.socket) as client:
            return client.job(job_id)

    def submit(self, pool: str, *many: Mapping[str, object]) -> list[str]:
        """Hand jobs in through the control socket and return their ids."""
        with Client(self.socket) as client:
            return [client.submit(Order(pool=pool, data=data)).id for data in many]

    def cli(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the command line with this program's configuration."""
        return subprocess.run(
            [sys.executable, "-m", "supervisor", "-c", str(self.config), *words],
            cwd=REPOSITORY,
            env=self._environment() | {"COLUMNS": "200"} | environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    # --- waiting for it ---------------------------------------------------------------------

    def wait_until(self, is_over: Callable[[], object], what: str, within: float = 30.0) -> None:
        """Wait for something; when it does not come, the error shows the end of the log."""
        try:
            wait_until(lambda: not self.is_running or is_over(), within=within, what=what)
        except TimeoutError as error:
            message = f"{error}; the log ends:\n{self.log[-3000:]}"
            raise TimeoutError(message) from error
        if not self.is_running:
            assert is_over(), f"it left while waiting for {what}:\n{self.log[-3000:]}"

    def wait_until_consuming(self) -> None:
        self.wait_until(self._consumes, "every worker to consume", START)

    def wait_for_line(self, event: str, *, within: float = 30.0, **facts: object) -> dict[str, Any]:
        """Return the first log line of that event with these facts, once it is there."""
        self.wait_until(lambda: self.lines(event, **facts), f"a log line {event!r} {facts}", within)
        return self.lines(event, **facts)[0]

    def wait_for_state(self, state: str, *job_ids: str, within: float = 30.0) -> None:
        """Wait until the ledger has these jobs in a state."""
        wanted = set(job_ids)
        self.wait_until(lambda: wanted <= self.ids(state), f"{job_ids} to be {state}", within)

    def wait_for_count(self, state: str, count: int, *, within: float = 30.0) -> None:
        """Wait until so many jobs are in a state."""
        self.wait_until(lambda: self.count(state) >= count, f"{count} jobs {state}", within)

    # --- what it wrote ----------------------------------------------------------------------

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def log(self) -> str:
        return self.log_file.read_text() if self.log_file.exists() else ""

    def lines(self, event: str, **facts: object) -> list[dict[str, Any]]:
        """Return the log's lines of one event that have all these facts."""
        found = [line for line in _parsed(self.log) if line.get("event") == event]
        return [line for line in found if facts.items() <= line.items()]

    def ledger(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Read the ledger's file beside the program."""
        file = self.folder / "ledger.db"
        if not file.exists():
            return []
        with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as database:
            try:
                return database.execute(query, values).fetchall()
            except sqlite3.OperationalError:  # not migrated yet
                return []

    def ids(self, state: str) -> set[str]:
        """Return the jobs in a state."""
        return {str(row[0]) for row in self.ledger("SELECT id FROM jobs WHERE state = ?", state)}

    def count(self, state: str) -> int:
        return len(self.ids(state))

    # --- inside -----------------------------------------------------------------------------

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
        return kept | {MARK: self._mark}

    def _consumes(self) -> bool:
        with contextlib.suppress(NoSupervisorError):
            return all(worker.consuming for worker in self.status().workers)
        return False

    def _marked(self) -> Iterator[psutil.Process]:
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                is_dead = process.status() == psutil.STATUS_ZOMBIE
                if not is_dead and process.environ().get(MARK) == self._mark:
                    yield process


def document(
    folder: Path, *, broker: str, pools: Pools, webhook: str = "", **top: object
) -> dict[str, object]:
    """Return a configuration with short times, all of it below one folder."""
    sinks: list[Mapping[str, object]] = [{"log": True}]
    if webhook:
        sinks.append({"webhook": {"url": webhook, "secret": "the receiver's secret"}})
    return {
        "broker": broker,
        "state": str(folder / "state"),
        "ledger": f"sqlite:///{folder}/ledger.db",
        "media": {"root": str(folder / "media")},
        "workers": {name: _pool(name, pool) for name, pool in pools.items()},
        "notify": {"sinks": sinks},
        "heartbeat": {"interval": "300ms", "timeout": "20s"},
        "reconnect": {"delay": "300ms", "max": "1s"},
        "memory_check": "500ms",
        "stop_grace": "8s",
        "logs": {"format": "json"},
    } | top


def moment(line: Mapping[str, Any]) -> float:
    """Return when a log line was written, in seconds."""
    return datetime.fromisoformat(str(line["timestamp"])).timestamp()


def _pool(name: str, pool: Mapping[str, object]) -> dict[str, object]:
    return {
        "queue": f"{name}_queue",
        "processor": "tests.support.processors",
        "backoff": {"delay": "200ms"},
        "retry": {"attempts": 3, "delay": "200ms"},
        **_reach(pool),
    } | dict(pool)


def _reach(pool: Mapping[str, object]) -> dict[str, object]:
    """Return what lets downloads reach the sites of tests, which are not public."""
    is_download = pool.get("processor") == "workers.download"
    return {"options": {"allow": ["127.0.0.0/8"]}} if is_download else {}


def _parsed(log: str) -> Sequence[dict[str, Any]]:
    found = []
    for line in log.splitlines():
        with contextlib.suppress(msgspec.DecodeError, TypeError):
            found.append(dict(msgspec.json.decode(line)))
    return found
