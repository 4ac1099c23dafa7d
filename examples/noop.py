"""A processor that does nothing: what remains is the cost of a job itself, for benchmarks."""

from workers.processor import Job, JobContext


async def handle(_job: Job, _context: JobContext) -> None:
    """Succeed at once."""
