"""One chaos run from its start to its evidence."""

import contextlib
import json
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import psutil

from consumers.topology import NODES
from tests.chaos import diary, load
from tests.chaos.evidence import FINAL, End, Evidence, Row, Told
from tests.chaos.load import PLAIN, SINGLE, WIDE, Order
from tests.chaos.monkey import Monkey, Prey
from tests.chaos.plan import Planned
from tests.chaos.publishers import Publishers
from tests.support.fault_proxy import FaultProxy
from tests.support.program import Program, document
from tests.support.rabbitmq import PrivateRabbit
from tests.support.receiver import Answer, Receiver
from tests.support.waiting import wait_until

KNOWN_BY = 200  # bytes of a body by which an order is known while the run lasts
TELLING = 15.0  # seconds for the last notices to be delivered
# RabbitMQ itself may need three minutes to take up a delayed message again when it was restarted
# at the wrong moment (`dead_letter_worker_publisher_confirm_timeout`).
EMPTYING = 200.0  # seconds for the queues to be empty
LEAVING = 5.0  # seconds after its exit for what it started to be gone
NOTHING = frozenset({"0", "messages"})  # an empty queue, and the heading

POOL: dict[str, object] = {
    "processor": "tests.chaos.deeds",
    "memory": "250MB",
    "memory_hard": "400MB",
    "timeout": "5s",
    "retry": {"attempts": load.ATTEMPTS, "delay": "200ms"},
    "backoff": {"delay": "200ms", "max": "2s"},
}
POOLS: Mapping[str, dict[str, object]] = {
    WIDE: POOL | {"instances": 1, "concurrency": 15},
    SINGLE: POOL | {"instances": 3},
    PLAIN: POOL | {"instances": 1, "concurrency": 4, "processor": "tests.chaos.deeds:plain"},
}
LIMITS: Mapping[str, object] = {
    "heartbeat": {"interval": "300ms", "timeout": "6s"},
    "memory_check": "300ms",
    "stop_grace": "10s",
    "logs": {"format": "json"},
}
MOODS = (Answer(503), Answer(503))  # of the webhook's receiver, before it takes everything

Beside = Callable[[Program], AbstractContextManager[object]]


@dataclass(frozen=True, slots=True)
class Setup:
    """What a run is made of. Without a broker the queues are the embedded ones."""

    orders: tuple[Order, ...]
    tracks: tuple[tuple[Planned, ...], ...] = ()
    broker: PrivateRabbit | None = None
    publishers: int = 4
    settling: float = 200.0  # seconds for everything to end once the faults have: see EMPTYING
    module: tuple[str, ...] = ("supervisor",)
    is_fair: bool = True
    max_crashes: int = 3
    houses: int = 1  # how many times the usual workers
    beside: Beside = contextlib.nullcontext  # what looks on while jobs are under way


def run(setup: Setup, folder: Path) -> Evidence:
    """Run the program under these faults and return what is left to judge by."""
    with ExitStack() as stack:
        return _Stage(setup, folder, stack).play()


class _Stage:
    """Everything that takes part in a run; ``stack`` takes it down."""

    def __init__(self, setup: Setup, folder: Path, stack: ExitStack) -> None:
        self._setup = setup
        self._stack = stack
        self._receiver = stack.enter_context(Receiver(*MOODS))
        self._vhost = ""
        self._proxy: FaultProxy | None = None
        address = self._connect() if setup.broker is not None else "embedded"
        self._program = self._configure(folder / "p", address)
        if setup.broker is None:
            address = str(self._program.socket)
        ways = [address] * setup.publishers
        self._publishers = Publishers(folder / "published", self._setup.orders, ways)
        prey = Prey(self._program, self._publishers, setup.broker, self._proxy, self._vhost)
        self._monkey = Monkey(prey, is_fair=setup.is_fair)

    def play(self) -> Evidence:
        """Start, break, mend, wait, stop, and collect."""
        self._program.start()
        with self._publishers, self._setup.beside(self._program):
            self._monkey.run(*self._setup.tracks)
            settling = self._setup.settling
            publishing = max((order.at for order in self._setup.orders), default=0.0)
            _patiently(lambda: self._publishers.are_done, publishing + settling)
            if _patiently(self._all_ended, settling):
                _patiently(self._all_told, TELLING)
                _patiently(lambda: not self._left_over(), EMPTYING)
        return self._evidence(self._end())

    # --- building ---------------------------------------------------------------------------

    def _connect(self) -> str:
        """Put the proxy before a fresh vhost and return its address."""
        broker = self._setup.broker
        assert broker is not None
        url = broker.fresh_vhost()
        self._vhost = url.rpartition("/")[2]
        self._proxy = self._stack.enter_context(FaultProxy(broker.port))
        return url.replace(f":{broker.port}/", f":{self._proxy.port}/")

    def _configure(self, folder: Path, address: str) -> Program:
        pools = {name: pool | self._size(pool) for name, pool in POOLS.items()}
        told = document(folder, broker=address, pools=pools, webhook=self._receiver.url, **LIMITS)
        program = Program(folder, told)
        program.module = self._setup.module
        self._stack.callback(program.end)
        return program

    def _size(self, pool: Mapping[str, object]) -> dict[str, object]:
        instances = int(str(pool["instances"])) * self._setup.houses
        return {"instances": instances, "max_crashes": self._setup.max_crashes}

    # --- waiting ----------------------------------------------------------------------------

    def _all_ended(self) -> bool:
        """Answer whether every confirmed job has its outcome, and no job is without one."""
        begin = f"SELECT state, substr(body, 1, {KNOWN_BY}) FROM jobs"  # noqa: S608 - a constant
        rows = self._program.ledger(begin)
        ended = Counter(bytes(body) for state, body in rows if state in FINAL)
        tries = self._publishers.tries()
        return ended.total() == len(rows) and all(
            ended[order.body[:KNOWN_BY]] >= order.jobs(tries.get(order.serial, (0, 0))[1])
            for order in self._setup.orders
        )

    def _all_told(self) -> bool:
        waiting = "SELECT count(*) FROM notices WHERE delivered_at IS NULL"
        return self._program.ledger(waiting) == [(0,)]

    def _left_over(self) -> Mapping[str, int]:
        """Return how many messages are in which queues, those without any left out."""
        if self._setup.broker is None:
            count = "SELECT queue, count(*) FROM embedded_messages GROUP BY queue"
            return dict(self._program.ledger(count))
        said = self._setup.broker.ctl(
            "list_queues", "-p", self._vhost, "name", "messages", "--no-table-headers"
        )
        counts = dict(line.split("\t") for line in said.splitlines() if "\t" in line)
        counts.pop(NODES, None)  # a register that always holds a message for each node
        return {name: int(count) for name, count in counts.items() if count not in NOTHING}

    # --- the end ----------------------------------------------------------------------------

    def _end(self) -> End:
        code = self._program.stop() if self._program.is_running else -1
        _patiently(lambda: not self._program.survivors(), LEAVING)
        return End(
            exit_code=code,
            survivors=tuple(_described(process) for process in self._program.survivors()),
            integrity=self._integrity(),
            left_over=self._left_over(),
        )

    def _integrity(self) -> str:
        rows = self._program.ledger("PRAGMA integrity_check")
        return ", ".join(str(row[0]) for row in rows)

    def _evidence(self, end: End) -> Evidence:
        return Evidence(
            orders=self._setup.orders,
            tries=self._publishers.tries(),
            lines=diary.read(self._program.media),
            rows=_rows(self._program),
            told=_told(self._receiver),
            end=end,
            faults=tuple(self._monkey.done),
            coordinator_ends=self._monkey.coordinator_ends,
            outages=self._monkey.outages,
            mishaps=(*self._monkey.mishaps, *self._publishers.troubles()),
            max_crashes=self._setup.max_crashes,
        )


def _rows(program: Program) -> tuple[Row, ...]:
    columns = "queue, id, state, body, error, attempts, crashes"
    rows = program.ledger(f"SELECT {columns} FROM jobs")  # noqa: S608 - constants
    return tuple(
        Row(queue, job_id, state, bytes(body), _error(state, error), attempts, crashes)
        for queue, job_id, state, body, error, attempts, crashes in rows
    )


def _error(state: str, error: bytes | None) -> str:
    if state != "failed" or error is None:
        return ""
    return str(json.loads(error)["message"])


def _told(receiver: Receiver) -> tuple[Told, ...]:
    found = []
    for request in receiver.received():
        body = json.loads(request.body)
        key = unquote(request.headers["webhook-id"])
        found.append(Told(key, body["job"]["queue"], body["job"]["id"], body["event"]))
    return tuple(found)


def _patiently(is_over: Callable[[], object], within: float) -> bool:
    """Wait and answer whether it came about; if not, that is for the rules to find."""
    try:
        wait_until(is_over, within=within, what="it")
    except TimeoutError:
        return False
    return True


def _described(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error):
        return f"{process.pid} {' '.join(process.cmdline())[:100]}"
    return f"{process.pid}"
