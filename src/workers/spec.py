"""What a new worker is told about itself when it is started; it never changes afterwards."""

from collections.abc import Mapping

import msgspec

from consumers.jobs import Priority
from consumers.limits import Limits
from consumers.retry import ReconnectPolicy, RetryPolicy
from consumers.topology import PoolQueues

EMBEDDED = "embedded"


class WorkerSpec(msgspec.Struct, frozen=True):
    """One worker process. Times are seconds, sizes bytes, folders and files absolute paths."""

    worker_id: str  # POOL-N, stays with the slot
    incarnation: int  # counts the processes that had this slot
    pool: str
    processor: str  # of jobs whose body names no type of `types`; "": there is none
    queues: PoolQueues
    broker: str  # URL with credentials, or EMBEDDED
    media: str
    stacks: str  # the file this process dumps its stacks to when asked by signal
    concurrency: int = 1
    retry: RetryPolicy = RetryPolicy()
    reconnect: ReconnectPolicy = ReconnectPolicy()
    timeout: float = 3600.0
    heartbeat: float = 5.0
    metrics: float = 60.0
    cpu: float = 1.0  # share of a processor, becomes niceness
    body_limit: int = 1_000_000
    body_warning: int = 100_000
    options: Mapping[str, object] = {}
    limits: Limits = Limits()
    types: Mapping[str, str] = {}  # processors by the `type` of a body
    most: int = 0  # jobs that this process begins; 0: as many as come
    priority_map: Mapping[int, Priority] = {}  # what its own numbers mean; none: 1 to 5
    inflight: str = ""  # the queue that jobs are parked in; where they need not be: none
    park_after: float = 600.0
    holds: Mapping[str, str] = {}  # by name, why it takes nothing until told otherwise
    log_level: str = "info"
    log_json: bool | None = None  # None: words on a terminal, JSON elsewhere
    log_file: str = ""  # where its lines are kept besides; "": nowhere
    log_keep: int = 0  # how long that file may become
    spool: str = ""  # the file for outcomes until they are known to be recorded; "": none
