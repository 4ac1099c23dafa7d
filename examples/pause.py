"""A processor that only takes its time: ``{"seconds": 0.1}``; with it limits can be tried."""

import asyncio
import time

from workers.processor import Job, JobContext


async def handle(job: Job, _context: JobContext) -> None:
    """Take so many seconds, and leave the worker to other jobs meanwhile."""
    await asyncio.sleep(_seconds(job))


def in_a_thread(job: Job, _context: JobContext) -> None:
    """Take so many seconds of one thread."""
    time.sleep(_seconds(job))


def _seconds(job: Job) -> float:
    return float(str(job.data.get("seconds", 1.0)))
