"""Private RabbitMQ nodes: started on free ports, with data of their own, gone with the test run.

A node shares nothing with a RabbitMQ of the system: name, ports, epmd, cookie, configuration,
data and logs are its own.
"""

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

import psutil

from tests.support.installations import SCRIPTS, Installation
from tests.support.ports import free_port
from tests.support.waiting import wait_until

VHOSTS_AT_ONCE = 16
CONFIGURATION = """\
vm_memory_calculation_strategy = allocated
vm_memory_high_watermark.absolute = 1GB
disk_free_limit.absolute = 50MB
"""


class RabbitError(Exception):
    """A private node did not start, did not stop, or refused a command."""


class PrivateRabbit:
    """One RabbitMQ node that belongs to this test run alone.

    `start`, `stop` and `kill` may follow each other in any order; the port and the data
    stay until `close`. All methods block: from a coroutine, call them by `asyncio.to_thread`.
    """

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.port = free_port()
        self._folder = _own_folder(installation.root / "tmp")
        self._epmd_port = free_port()
        self._env = self._environment()
        self._epmd: subprocess.Popen[bytes] | None = None
        self._node: subprocess.Popen[bytes] | None = None
        self._vhosts: list[str] = []
        # The kernel ends a node when the *thread* that started it ends (PDEATHSIG). This one
        # lives as long as the test run, whichever thread asks for a start.
        self._starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="rabbit-starter")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def version(self) -> str:
        return self.installation.version

    @property
    def url(self) -> str:
        """The address of the default vhost."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}/"

    @property
    def pid(self) -> int:
        """The process id of the running node's Erlang machine."""
        if self._node is None:
            raise RabbitError("the node is not running: call start() first")
        return self._node.pid

    @property
    def is_running(self) -> bool:
        return self._node is not None and self._node.poll() is None

    def start(self) -> None:
        """Start the node on its port, with the data it had, and wait until it speaks AMQP."""
        if self.is_running:
            return
        self._lay_folder()
        self._start_epmd()
        server = self.installation.command(f"/{SCRIPTS}/rabbitmq-server")
        self._node = self._launch(server, log="node.log")
        wait_until(self._has_ended_or_speaks, within=60, what=f"RabbitMQ {self.version} to start")
        if not self.is_running:
            message = f"RabbitMQ {self.version} ended while starting:\n{self.log_end()}"
            raise RabbitError(message)

    def stop(self) -> None:
        """Stop the node in good order; its data stays."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End the node as `kill -9` does; its data stays as it was on disk."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Stop in good order and start again."""
        self.stop()
        self.start()

    def close(self) -> None:
        """End everything that belongs to the node and remove its data."""
        self.kill()
        if self._epmd is not None:
            self._epmd.kill()
            self._epmd.wait()
        self._starter.shutdown()
        shutil.rmtree(self._folder, ignore_errors=True)

    def ctl(self, *words: str) -> str:
        """Run rabbitmqctl (about half a second) and return what it printed."""
        command = self.installation.command(f"/{SCRIPTS}/rabbitmqctl", "--quiet", *words)
        done = subprocess.run(
            command, env=self._env, cwd="/", capture_output=True, text=True, timeout=25, check=False
        )
        if done.returncode != 0:
            message = f"rabbitmqctl {' '.join(words)}: exit {done.returncode}\n{done.stderr}"
            raise RabbitError(message)
        return done.stdout

    def fresh_vhost(self) -> str:
        """Return the address of a vhost that nobody has used yet."""
        self.start()
        if not self._vhosts:
            self._vhosts = self._make_vhosts()
        return self.url + self._vhosts.pop()

    def write_definitions(self) -> None:
        """Have all queues, bindings and vhosts in the tables on the disk (about half a second).

        They get there a while after they were declared: the log before the tables holds them,
        yet a queue that is only there is gone after about every seventh kill (measured on 4.0).
        """
        self.ctl("eval", "mnesia:dump_log().")

    def log_end(self, lines: int = 40) -> str:
        """Return the last lines that the node printed."""
        log = self._folder / "node.log"
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])

    def _environment(self) -> dict[str, str]:
        inside = "/" / self._folder.relative_to(self.installation.root)
        return os.environ | {
            "HOME": str(inside),  # the Erlang cookie is made here
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_CRASH_DUMP": "/dev/null",
            "RABBITMQ_NODENAME": f"rabbit-{self._epmd_port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": f"{inside}/data",
            "RABBITMQ_LOG_BASE": f"{inside}/log",
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_PID_FILE": f"{inside}/pid",
            "RABBITMQ_GENERATED_CONFIG_DIR": f"{inside}/generated",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{inside}/enabled_plugins",
            "RABBITMQ_CONFIG_FILE": f"{inside}/rabbitmq.conf",
            "RABBITMQ_ADVANCED_CONFIG_FILE": f"{inside}/none.config",
            "RABBITMQ_CONF_ENV_FILE": f"{inside}/none-env.conf",
            "RUNNING_UNDER_SYSTEMD": "true",  # the script turns into Erlang, no shell between
        }

    def _lay_folder(self) -> None:
        (self._folder / "enabled_plugins").write_text("[].\n")
        (self._folder / "rabbitmq.conf").write_text(CONFIGURATION)

    def _start_epmd(self) -> None:
        """Run our own epmd; otherwise the node leaves one behind that outlives it."""
        if self._epmd is None or self._epmd.poll() is not None:
            self._epmd = self._launch(self.installation.command("/usr/bin/epmd"), log="epmd.log")
            wait_until(lambda: _answers(self._epmd_port), within=10, what="epmd to listen")

    def _launch(self, command: list[str], *, log: str) -> subprocess.Popen[bytes]:
        return self._starter.submit(self._launch_here, command, self._folder / log).result()

    def _launch_here(self, command: list[str], log: Path) -> subprocess.Popen[bytes]:
        with log.open("ab") as output:
            return subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *command],
                env=self._env,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for pytest, which then closes the node
            )

    def _has_ended_or_speaks(self) -> bool:
        return not self.is_running or _speaks_amqp(self.port)

    def _end(self, how: signal.Signals) -> None:
        if self._node is None:
            return
        family = _family(self._node.pid)
        self._node.send_signal(how)
        try:
            self._node.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._node.kill()
            self._node.wait()
        self._node = None
        wait_until(
            lambda: all(_is_over(process) for process in family),
            within=5,
            what=f"the processes of RabbitMQ {self.version} to end",
        )

    def _make_vhosts(self) -> list[str]:
        """Make several in one call: starting rabbitmqctl costs far more than a vhost."""
        names = [f"test-{secrets.token_hex(4)}" for _ in range(VHOSTS_AT_ONCE)]
        listed = ",".join(f'<<"{name}">>' for name in names)
        self.ctl(
            "eval",
            f"[begin rabbit_vhost:add(Name, <<>>), rabbit_auth_backend_internal:set_permissions("
            f'<<"guest">>, Name, <<".*">>, <<".*">>, <<".*">>, <<>>) end || Name <- [{listed}]].',
        )
        return names


def _own_folder(place: Path) -> Path:
    """Make a folder named after this process; sweep those whose process was killed."""
    for old in place.glob("rabbit-*-*"):
        owner = old.name.split("-")[1]
        if owner.isdecimal() and not psutil.pid_exists(int(owner)):
            shutil.rmtree(old, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"rabbit-{os.getpid()}-", dir=place))


def _family(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _is_over(process: psutil.Process) -> bool:
    """Tell whether a process has ended; the orphans of a node may stay zombies for seconds."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def _speaks_amqp(port: int) -> bool:
    """Tell whether a broker answers the protocol header with its first frame."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as wire:
        wire.settimeout(2)
        wire.sendall(b"AMQP\x00\x00\x09\x01")
        return wire.recv(1) == b"\x01"
    return False
