"""One worker's consuming over a line that a test may break: what it ran, and what it was told."""

import asyncio
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit

import pika

from consumers.broker.rabbitmq import RabbitBroker
from consumers.clock import SystemClock
from consumers.consumer import Consumer, Lanes
from consumers.dead_letters import DeadLetterConsumer
from consumers.errors import BrokerError
from consumers.executor import Executor
from consumers.jobs import Envelope, Job
from consumers.outcome import Completed, Failed, Failure, Outcome
from consumers.retry import Backoff, Jitter, ReconnectPolicy, RetryPolicy
from consumers.sessions import Sessions
from consumers.topology import pool_queues
from tests.support import publisher
from tests.support.desks import FakeDesk
from tests.support.fault_proxy import FaultProxy
from tests.support.rabbitmq import PrivateRabbit

POOL = pool_queues("clips")
RETRY = RetryPolicy(attempts=3, backoff=Backoff.FIXED, delay=2.0, jitter=Jitter.NONE)
RECONNECT = ReconnectPolicy(delay=0.5, max=2.0)
PATIENCE = 20.0  # seconds


@dataclass
class Line:
    """A worker, the broker it consumes from, and the proxy in between.

    A job with ``held`` in its name runs until ``gate`` is set, one with ``fails`` fails at first.
    """

    rabbit: PrivateRabbit
    url: str  # straight to the broker
    query: str = ""
    ran: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)  # of each trouble: what, and what to do
    alarms: list[str] = field(default_factory=list)
    opened_times: int = 0
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    desk: FakeDesk = field(default_factory=FakeDesk)

    @property
    def vhost(self) -> str:
        return urlsplit(self.url).path[1:]

    async def __aenter__(self) -> Self:
        self.proxy = FaultProxy(self.rabbit.port)
        self.proxy.__enter__()
        clock = SystemClock()
        executor = Executor(POOL, RETRY, self.desk, self._run, clock)
        self.consumer = Consumer(Lanes(POOL, 3, 1_000_000, _anything), executor, clock)
        tenants = (self.consumer, DeadLetterConsumer(POOL, self.desk))
        through = self.url.replace(f":{self.rabbit.port}/", f":{self.proxy.port}/")
        broker = RabbitBroker(through + self.query, alarmed=self._alarmed)
        self.sessions = Sessions(broker, tenants, self, RECONNECT, clock)
        self._task = asyncio.create_task(self.sessions.run())
        await self.until(lambda: self.opened_times == 1, "the first session")
        return self

    async def __aexit__(self, *_: object) -> None:
        self.gate.set()
        await self.consumer.abandon()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await asyncio.to_thread(self.proxy.close)

    # --- the sessions' watcher --------------------------------------------------------------

    def opened(self, peer: str) -> None:
        self.opened_times += 1

    def troubled(self, error: BrokerError, failed: int, delay: float) -> None:
        self.said.append(error.advised)

    def _alarmed(self, alarm: BrokerError | None) -> None:
        self.alarms.append("" if alarm is None else alarm.advised)

    # --- jobs -------------------------------------------------------------------------------

    async def _run(self, job: Job) -> Outcome:
        name = str(job.data["name"])
        if "held" in name:
            await self.gate.wait()
        self.ran.append(name)
        if "fails" in name and job.attempt == 1:
            return Failed(Failure("no luck", code="network"), 0.0)
        return Completed({}, 0.0)

    async def publish(self, *names: str) -> None:
        """Publish jobs as another program does, straight to the broker."""
        await asyncio.to_thread(self._publish, names)

    def _publish(self, names: Iterable[str]) -> None:
        with publisher.channel_to(self.url) as channel:
            channel.confirm_delivery()
            for name in names:
                body = json.dumps({"name": name}).encode()
                kept = pika.BasicProperties(delivery_mode=2)
                channel.basic_publish("", POOL.public, body, kept, mandatory=True)

    async def ctl(self, *words: str) -> None:
        await asyncio.to_thread(self.rabbit.ctl, *words)

    async def until_ran(self, *names: str, within: float = PATIENCE) -> None:
        await self.until(lambda: set(names) <= set(self.ran), f"{names} to run", within)

    async def until(self, is_so: Callable[[], bool], what: str, within: float = PATIENCE) -> None:
        deadline = time.monotonic() + within
        while not is_so():
            state = f"ran {self.ran}, told {self.said}, alarms {self.alarms}"
            assert time.monotonic() < deadline, f"waited {within:g} s for {what}: {state}"
            await asyncio.sleep(0.01)

    async def drain(self) -> None:
        """Let what is in hand be settled; whatever is ready afterwards was not acked."""
        self.gate.set()
        async with asyncio.timeout(PATIENCE):
            await self.consumer.drain()


def _anything(_envelope: Envelope) -> None:
    """Accept every job."""
