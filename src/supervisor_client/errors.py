"""What can go wrong, by what the caller would do about it; the message is a whole sentence."""

from supervisor_client.shapes import Family, JobRecord

_ENDS = ("failed", "cancelled", "removed")
_TOLD = 3  # failures in a message; `failed` of the family has more


class ClientError(Exception):
    """All errors of this package."""


class UnreachableError(ClientError):
    """Nobody answers, or the answer was lost. ``was_sent``: perhaps it was done all the same."""

    def __init__(self, message: str, *, was_sent: bool = False) -> None:
        super().__init__(message)
        self.was_sent = was_sent


class NotOverAmqpError(ClientError):
    """Over AMQP jobs can be published and nothing else; give the client an HTTP address too."""

    def __init__(self, message: str = "") -> None:
        super().__init__(
            message
            or "over AMQP jobs can be published and nothing else: "
            "give the client an api= too, an HTTP address or a control socket"
        )


class RefusedError(ClientError):
    """The supervisor, or the broker, said no; ``status`` is that of HTTP, ``kind`` its problem."""

    def __init__(self, message: str, *, status: int = 0, kind: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind  # unknown-job, wrong-state ... ; empty where it has no name


class BadOrderError(RefusedError):
    """What was asked for cannot be so; the message names the field."""


class NotAllowedError(RefusedError):
    """The token is missing, unknown, or not for this."""


class UnknownError(RefusedError):
    """No such job, pool, queue, schedule or worker."""


class ConflictError(RefusedError):
    """Not as things stand: the job is in another state, the id or the name is taken."""


class TryLaterError(RefusedError):
    """Not now: too many requests, or the ledger cannot be asked. ``after`` is seconds."""

    def __init__(self, message: str, *, status: int, kind: str = "", after: float | None) -> None:
        super().__init__(message, status=status, kind=kind)
        self.after = after


class StillRunningError(ClientError):
    """The job is not over after the time that was given; ``job`` is how it stood last."""

    def __init__(self, message: str, job: JobRecord | None) -> None:
        super().__init__(message)
        self.job = job


class JobFailedError(ClientError):
    """The job is over without a result: it failed, or was cancelled or removed."""

    def __init__(self, job: JobRecord) -> None:
        super().__init__(f"job {job.id} of {job.pool} has no result: {_why(job)}")
        self.job = job


class ChainFailedError(JobFailedError):
    """All that came of a job is over, and not all of it is completed.

    ``family`` says how many ended how, and ``family.failed`` some that failed, with their errors.
    """

    def __init__(self, job: JobRecord, family: Family) -> None:
        ClientError.__init__(self, _ended(job, family))
        self.job = job
        self.family = family


def _ended(job: JobRecord, family: Family) -> str:
    """Return how a chain ended, and why: the first failures in words."""
    states = family.chain.states
    ends = ", ".join(f"{states[end]} {end}" for end in _ENDS if states.get(end))
    if family.chain.total == 1:
        return f"job {job.id} of {job.pool} {ends.removeprefix('1 ')}: {_why(job)}"
    said = f"of job {job.id} and what came of it ({family.chain.total} jobs) {ends}"
    reasons = [f"{each.pool} {each.id}: {_why(each)}" for each in family.failed[:_TOLD]]
    left = states.get("failed", 0) - len(reasons)
    if reasons and left > 0:
        reasons.append(f"and {left} more")
    return "; ".join((said, *reasons))


def _why(job: JobRecord) -> str:
    return job.error.message if job.error else f"it was {job.state}"
