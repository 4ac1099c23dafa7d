"""The words that cross the pipe between a worker and the coordinator.

JSON objects, camelCase, ``type`` is the tag. ``result``, ``error``, ``heartbeat`` and ``metrics``
are what other programs may know; the rest is between the two of us. Frames are these objects
behind a four-byte length (``workers/pipe.py``).
"""

from collections.abc import Mapping
from datetime import datetime

import msgspec

from consumers.broker.operations import Answer, Delivered, Operation
from consumers.desk import Claim, DeadLetter, Verdict
from consumers.outcome import Failure

CONNECTING = "connecting"  # what a worker says of the broker before its first session
FRAME_LIMIT = 32 * 1024 * 1024  # bytes


class _Message(
    msgspec.Struct, frozen=True, tag_field="type", tag=str.lower, rename="camel", omit_defaults=True
):
    """All messages: the tag is the class name in lower case."""


# --- from the worker ---------------------------------------------------------------------------


class Ready(_Message, frozen=True):
    """The worker has imported its processor and is about to consume."""

    worker_id: str
    timestamp: datetime
    pid: int
    incarnation: int


class Claiming(_Message, frozen=True, tag="claim"):
    """The worker holds a delivery and asks whether to run it; answered by ``verdict``."""

    call: int
    claim: Claim


class Started(_Message, frozen=True):
    """The processor is about to be called: from here on the job can be blamed."""

    worker_id: str
    timestamp: datetime
    queue_name: str
    job_id: str
    attempt: int = 1


class Progressed(_Message, frozen=True, tag="progress"):
    """A running job got further, or said something worth keeping (``line``)."""

    queue_name: str
    job_id: str
    percent: float | None = None
    note: str = ""
    line: str = ""


class ResultPayload(msgspec.Struct, frozen=True):
    """What users' programs read in a ``result``: file names, and for whom."""

    results: tuple[str, ...]
    from_: str = msgspec.field(name="from", default="")
    noreply: bool = False


class JobResult(_Message, frozen=True, tag="result", omit_defaults=False):
    """A job succeeded; answered by ``noted`` once that is committed."""

    worker_id: str
    timestamp: datetime
    queue_name: str
    payload: ResultPayload
    call: int
    job_id: str
    result: Mapping[str, object]
    duration: float  # seconds


class ErrorPayload(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """What users' programs read in an ``error``."""

    error: str
    link: str | None = None
    file_path: str | None = None
    from_: str = msgspec.field(name="from", default="")


class Retrying(msgspec.Struct, frozen=True):
    """A copy is going to be published: seconds until it comes back."""

    delay: float


class JobError(_Message, frozen=True, tag="error"):
    """Something failed: one attempt of a job, a dead letter, or the worker itself.

    ``queue_name`` is the dead-letter queue when ``letter`` is there; ``retry`` is there when the
    job comes back; ``interrupted`` when the machine was at fault and not the job;
    ``restart_required`` when the worker cannot go on and asks to be replaced.
    """

    worker_id: str
    timestamp: datetime
    error: str
    queue_name: str = ""
    payload: ErrorPayload | None = None
    call: int | None = None
    job_id: str | None = None
    failure: Failure | None = None
    retry: Retrying | None = None
    cancelled: bool = False
    interrupted: bool = False
    letter: DeadLetter | None = None
    duration: float = 0.0  # seconds
    restart_required: bool = False


class Settled(_Message, frozen=True):
    """The delivery is acked, and its copy, if one was owed, is confirmed: copy ``seq``.

    ``has_run`` when a run has come to its end with it; otherwise it was a verdict that was obeyed.
    What was acked ``is_nameless`` if it was a message without an id, and no parked copy of it.
    """

    queue_name: str
    job_id: str
    seq: int = 0
    has_run: bool = False
    is_nameless: bool = False


class Acking(_Message, frozen=True):
    """The ack of a message without an id is written next: whether it arrives, nobody can say.

    Said before, so that a worker which dies without a word of it has surely not acked.
    """

    queue_name: str
    job_id: str


class Unsettled(_Message, frozen=True):
    """The delivery was certainly not acked: its session has ended, and it comes once more."""

    queue_name: str
    job_id: str
    has_run: bool = False
    is_nameless: bool = False


class SessionLost(_Message, frozen=True):
    """The session of this number with the broker is over: what it had brought comes once more."""

    session: int


class Probed(_Message, frozen=True):
    """The answer to ``probe``: the broker answered, by the session there was when it was asked."""

    call: int
    is_alive: bool


class Parking(_Message, frozen=True):
    """A job has been running for long: asks for the number of a copy; answered by ``noted``."""

    call: int
    queue_name: str
    job_id: str


class Parked(_Message, frozen=True):
    """Copy ``seq`` is stored among the jobs in flight; the delivery is acked unless ``is_owed``."""

    queue_name: str
    job_id: str
    seq: int
    is_owed: bool = False


class Permitting(_Message, frozen=True, tag="permit"):
    """A job could begin, if the pool's rate allows: asks for a permit; ``permitted`` brings it."""

    call: int


class Unpermitting(_Message, frozen=True, tag="unpermit"):
    """The permit of this call is not wanted any more, or was not used."""

    call: int


class Heartbeat(_Message, frozen=True):
    """The loop that consumes turns. ``consuming`` is False while the broker is away."""

    worker_id: str
    timestamp: datetime
    jobs: int = 0
    consuming: bool = False
    broker: str = ""  # its trouble with the broker, in words; it may consume all the same
    holds: Mapping[str, str] = {}  # why it takes nothing new although it could, by name


class Metrics(msgspec.Struct, frozen=True, rename="camel"):
    """What a worker did since it started; times in seconds, memory in bytes."""

    jobs_processed: int
    jobs_successful: int
    jobs_failed: int
    average_processing_time: float
    memory_usage: int
    uptime: float
    last_activity: datetime | None
    refused_frames: int = 0  # messages too large for the pipe, not sent
    staying_letters: int = 0  # dead letters too large to record that stay in their queue


class MetricsReport(_Message, frozen=True, tag="metrics"):
    """The worker's metrics, every minute and on change."""

    worker_id: str
    timestamp: datetime
    metrics: Metrics


class Stopped(_Message, frozen=True):
    """The last word of a worker that ends in order."""

    worker_id: str
    timestamp: datetime
    reason: str


class QueueCall(_Message, frozen=True, tag="queue"):
    """An operation on the embedded queues; answered by ``answer``."""

    call: int
    operation: Operation


FromWorker = (
    Ready
    | Claiming
    | Started
    | Progressed
    | JobResult
    | JobError
    | Acking
    | Settled
    | Unsettled
    | SessionLost
    | Probed
    | Parking
    | Parked
    | Permitting
    | Unpermitting
    | Heartbeat
    | MetricsReport
    | Stopped
    | QueueCall
)


# --- to the worker -----------------------------------------------------------------------------


class Judged(_Message, frozen=True, tag="verdict"):
    """The answer to ``claim``."""

    call: int
    verdict: Verdict


class Noted(_Message, frozen=True):
    """The answer to ``result``, ``error`` and ``parking``: committed, go on.

    ``seq`` is the number of the copy that may now be published; for ``parking`` 0 says: not now.
    """

    call: int
    seq: int = 0


class Permitted(_Message, frozen=True):
    """One job may begin, at once: the permit of this call."""

    call: int


class Adopted(_Message, frozen=True):
    """The coordinator holds parked copy ``seq`` of a running job, whatever became of older ones."""

    queue_name: str
    job_id: str
    seq: int


class Probe(_Message, frozen=True):
    """Ask the broker whether it knows our session still; answered by ``probed``."""

    call: int


class Pause(_Message, frozen=True):
    """Stop consuming, give back what has not started: a hold, by ``name``, and why."""

    name: str
    why: str


class Resume(_Message, frozen=True):
    """Lift the hold of this name; consume again if it was the last."""

    name: str


class Cancel(_Message, frozen=True):
    """Set the cancel flag of a job, up to its copy ``seq``; one that has yet to begin never does.

    What awaits something ``grace`` seconds later is cancelled there.
    """

    queue_name: str
    job_id: str
    seq: int = 0
    grace: float = 0.0


class Drain(_Message, frozen=True):
    """Take nothing new, finish what runs, then leave."""

    reason: str = ""


class Stop(_Message, frozen=True):
    """Leave now; unfinished jobs go back to their queues."""

    reason: str = ""


class QueueAnswer(_Message, frozen=True, tag="answer"):
    """The answer to ``queue``."""

    call: int
    answer: Answer


class QueueDelivery(_Message, frozen=True, tag="delivery"):
    """A message of the embedded queues for one of this worker's consumers."""

    delivered: Delivered


ToWorker = (
    Judged
    | Noted
    | Permitted
    | Adopted
    | Probe
    | Pause
    | Resume
    | Cancel
    | Drain
    | Stop
    | QueueAnswer
    | QueueDelivery
)
