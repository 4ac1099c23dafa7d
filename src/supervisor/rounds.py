"""Rounds through the workers: what each uses, every few seconds; how each stands, when asked."""

from collections.abc import Callable, Iterable

from consumers import logs
from consumers.clock import Clock
from supervisor.core.events import Measured
from supervisor.core.fleet import Fleet
from supervisor.inbox import Inbox
from supervisor.ports import WorkerView
from supervisor.processes import Processes

log = logs.get(__name__)


class Rounds:
    """Goes from worker to worker, and reports to the coordinator or to the log."""

    def __init__(
        self, processes: Processes, inbox: Inbox, fleet: Callable[[], Fleet], clock: Clock
    ) -> None:
        self._processes = processes
        self._inbox = inbox
        self._fleet = fleet
        self._clock = clock

    async def run(self, every: float) -> None:
        """Measure what every worker and its children use, each time so many seconds later."""
        while True:
            await self._clock.sleep(every)
            # Before the measuring: what it finds may be of a process that is replaced meanwhile.
            workers = self._fleet().workers
            usages = await self._processes.usage()
            for worker, usage in usages.items():
                incarnation = workers[worker].incarnation
                self._inbox.put(Measured(worker, incarnation, usage.memory, usage.cpu))

    async def describe(self, workers: Iterable[WorkerView]) -> None:
        """Write into the log how these workers stand and where their code is just now."""
        for view in workers:
            stack = await self._processes.dump_stack(view.id)
            log.info(
                "worker described",
                worker=view.id,
                state=view.state,
                pid=view.pid,
                jobs=view.jobs,
                memory=view.memory,
                restarts=view.restarts,
                stack=stack,
            )
