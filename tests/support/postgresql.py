"""Private PostgreSQL servers: on a free port, with data of their own, gone with the test run.

A database of its own for each test is a copy of a template that has been migrated already.
"""

import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Self

import psutil
import psycopg

from supervisor.ledger.migrate import migrate
from supervisor.ledger.rooms import room_of
from tests.support.ports import free_port
from tests.support.waiting import wait_until

PROGRAMS = Path("/usr/lib/postgresql")
USER, PASSWORD = "rabbit", "carrot"
# Nothing here must survive a power cut; everything must be quick, and small.
SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "max_connections": "40",
    "unix_socket_directories": "",
    "listen_addresses": "127.0.0.1",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "autovacuum_naptime": "600",
}


def programs() -> Path | None:
    """Return the folder of the newest PostgreSQL there is, None without one."""
    found = sorted(PROGRAMS.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else None


class PrivatePostgres:
    """One server that belongs to this test run alone."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._programs = folder
        self._folder = _own_folder()
        self._data = self._folder / "data"
        self._server: subprocess.Popen[bytes] | None = None
        self._numbers = count(1)
        # The kernel ends a server when the *thread* that started it ends (PDEATHSIG).
        self._starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="postgres-starter")

    def __enter__(self) -> Self:
        self._lay_data()
        self.start()
        self.run("postgres", "CREATE DATABASE template")
        room = room_of(self.url("template"), "template")
        room.take()
        migrate(room)
        room.release()
        self.run("postgres", "CREATE DATABASE empty")
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def is_running(self) -> bool:
        return self._server is not None and self._server.poll() is None

    def url(self, database: str, *, user: str = USER, password: str = PASSWORD) -> str:
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start the server with the data it had, and wait until it takes connections."""
        if self.is_running:
            return
        (self._data / "postmaster.pid").unlink(missing_ok=True)
        self._server = self._starter.submit(self._launch).result()
        wait_until(self._has_ended_or_answers, within=20, what="PostgreSQL to start")
        if not self.is_running:
            message = f"PostgreSQL ended while starting:\n{self.log()}"
            raise RuntimeError(message)

    def stop(self) -> None:
        """Stop it as an administrator does who does not wait for clients."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """End it as a crash does; its data stays as it was."""
        self._end(signal.SIGQUIT)

    def close(self) -> None:
        self.kill()
        self._starter.shutdown()
        shutil.rmtree(self._folder, ignore_errors=True)

    def run(self, database: str, words: str) -> None:
        """Run a statement as the owner of everything."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute(words.encode())

    @contextmanager
    def database(self, template: str = "template") -> Iterator[str]:
        """The URL of a database of your own: an up-to-date ledger, or an "empty" one."""
        name = f"test_{next(self._numbers)}"
        self.run("postgres", f"CREATE DATABASE {name} TEMPLATE {template}")
        yield self.url(name)
        self.start()  # a test may have stopped it
        self.run("postgres", f"DROP DATABASE {name} WITH (FORCE)")

    def log(self) -> str:
        return (self._folder / "log").read_text(errors="replace")[-4000:]

    def _lay_data(self) -> None:
        secret = self._folder / "secret"
        secret.write_text(PASSWORD)
        if os.geteuid() == 0:
            shutil.chown(self._folder, "nobody", "nogroup")
            shutil.chown(secret, "nobody", "nogroup")
        how = ("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync")
        subprocess.run(
            [*_as_nobody(), self._programs / "initdb", "-D", self._data, "-U", USER,
             f"--pwfile={secret}", *how],
            check=True, capture_output=True, cwd="/",
        )  # fmt: skip

    def _launch(self) -> subprocess.Popen[bytes]:
        settings = [f"--{name}={value}" for name, value in SETTINGS.items()]
        with (self._folder / "log").open("ab") as output:
            return subprocess.Popen(
                [*_as_nobody("--pdeathsig", "INT"), self._programs / "postgres",
                 "-D", self._data, "-p", str(self.port), *settings],
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                cwd="/", start_new_session=True,
            )  # fmt: skip

    def _has_ended_or_answers(self) -> bool:
        return not self.is_running or _takes_connections(self.url("postgres"))

    def _end(self, how: signal.Signals) -> None:
        if self._server is None:
            return
        family = (
            psutil.Process(self._server.pid).children(recursive=True) if self.is_running else []
        )
        self._server.send_signal(how)
        self._server.wait(timeout=20)
        self._server = None
        psutil.wait_procs(family, timeout=5)


def _as_nobody(*options: str) -> list[str]:
    """Return how to run a program that refuses to run as root."""
    if os.geteuid() != 0:
        return ["setpriv", *options, "--"] if options else []
    return ["setpriv", *options, "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--"]


def _own_folder() -> Path:
    """Make a folder named after this process; sweep those whose process was killed."""
    place = Path(tempfile.gettempdir())
    for old in place.glob("postgres-test-*-*"):
        owner = re.fullmatch(r"postgres-test-(\d+)-.*", old.name)
        if owner and not psutil.pid_exists(int(owner[1])):
            shutil.rmtree(old, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f"postgres-test-{os.getpid()}-", dir=place))
    folder.chmod(0o755)
    return folder


def _takes_connections(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except (OSError, psycopg.OperationalError):
        return False
    return True
