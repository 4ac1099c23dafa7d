"""What a worker is told about itself, as tests need it."""

import msgspec

from consumers.topology import pool_queues
from workers.spec import WorkerSpec


def a_spec(**changes: object) -> WorkerSpec:
    """The first worker of the pool `download`, with some of it changed."""
    spec = WorkerSpec(
        worker_id="download-1",
        incarnation=1,
        pool="download",
        processor="workers.download",
        queues=pool_queues("download_queue"),
        broker="embedded",
        media="/media",
        stacks="/stacks",
    )
    return msgspec.structs.replace(spec, **changes)
