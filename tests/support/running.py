"""A runner for one processor, outside any worker."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from consumers.jobs import Job
from consumers.outcome import Completed, Failed, Failure, Outcome
from tests.support.clocks import WITHIN, FakeClock
from workers.context import Surroundings
from workers.processor import Handle
from workers.registry import Processor
from workers.runner import Runner

JOB = Job("job-1", "download_queue", {"link": "x"})


@dataclass
class Desk:
    """A runner for one processor, and what it said."""

    clock: FakeClock
    progress: list[tuple[float, str]] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def runner(self, handle: object) -> Runner:
        surroundings = Surroundings(
            media=Path("/media"),
            options={"quality": "low"},
            timeout=60.0,
            progressed=lambda _, percent, note: self.progress.append((percent, note)),
            said=lambda _, line: self.lines.append(line),
        )
        # A processor is anybody's function: these are some that its type forbids.
        processor = Processor("test", cast("Handle", handle), None)
        return Runner(processor, surroundings, self.clock)

    async def run(self, handle: object) -> Outcome:
        return await asyncio.wait_for(self.runner(handle).run(JOB), WITHIN)

    async def failure(self, handle: object) -> Failure:
        outcome = await self.run(handle)
        assert isinstance(outcome, Failed)
        return outcome.failure

    async def result(self, handle: object) -> object:
        outcome = await self.run(handle)
        assert isinstance(outcome, Completed)
        return outcome.result
