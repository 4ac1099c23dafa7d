"""A processor whose machine breaks and is mended by a test: a file in the media folder says which.

``broken`` makes the check and every job find the machine at fault; ``treacherous`` only the jobs.
"""

from pathlib import Path

from tests.support import processors
from workers.processor import Host, HostError, Job, JobContext, Result

BROKEN = "broken"
TREACHEROUS = "treacherous"


def check_host(host: Host) -> None:
    """Find fault with the machine while the test says so."""
    _look(host.media, BROKEN)


async def handle(job: Job, context: JobContext) -> Result:
    """Do what the body says, unless the machine is at fault."""
    for name in (BROKEN, TREACHEROUS):
        _look(context.media, name)
    return await processors.handle(job, context)


def _look(media: Path, name: str) -> None:
    if (media / name).exists():
        why = f"the machine is {name}"
        raise HostError(why, code="broken", hint="mend it")
