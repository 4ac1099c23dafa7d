"""When a job that takes workers down is a dead letter, and in which words.

Deaths for want of memory are counted apart from the others, but the limit is one for all of them:
``max_crashes`` workers, whatever they died of. Nobody is convicted by a death that others shared:
what was started beside a killer runs alone next, and then only its own death speaks against it.
"""

from consumers.outcome import Failure
from supervisor.core.records import Charge, Known, PoolCard

WORKER_DIED = "worker_died"
TIMEOUT = "timeout"
OUT_OF_MEMORY = "out_of_memory"

_HINTS = {
    WORKER_DIED: "see how with `dlq show`; `dlq retry` runs it once more, alone",
    TIMEOUT: "give the pool more time (timeout:), then `dlq retry` it",
    OUT_OF_MEMORY: (
        "give the pool more memory (memory:), or send such jobs to a pool that has it "
        "(on_memory: {requeue: POOL}), then `dlq retry` it"
    ),
}


def convict(known: Known, pool: PoolCard) -> Failure | None:
    """Return why a job may not run again, if it may not."""
    if known.deaths == 0 or known.is_shared:
        return None
    if needs_room(known) and pool.dead_by_memory:
        return _failure(known, pool)
    return _failure(known, pool) if 0 < pool.max_crashes <= known.deaths else None


def needs_room(known: Known) -> bool:
    """Answer whether a job was alone in a worker that needed too much memory, the last time."""
    return known.deaths > 0 and known.charge is Charge.MEMORY and not known.is_shared


def _failure(known: Known, pool: PoolCard) -> Failure:
    died = known.crashes - known.timeouts
    if died == known.memory_crashes == 0:
        message = f"ran longer than {_span(pool.timeout)}, {_times(known.timeouts)}"
        return _final(TIMEOUT, message)
    said = []
    if died:
        said.append(f"worker died {_times(died)} while running this job")
    if known.timeouts:
        said.append(f"ran longer than {_span(pool.timeout)} {_times(known.timeouts)}")
    if known.memory_crashes:
        said.append(f"its worker needed too much memory {_times(known.memory_crashes)}")
    code = OUT_OF_MEMORY if known.crashes == 0 else WORKER_DIED
    return _final(code, f"{', '.join(said)}, last: {known.crash}")


def _final(code: str, message: str) -> Failure:
    return Failure(message, code=code, hint=_HINTS[code], permanent=True)


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _span(seconds: float) -> str:
    """Return a duration as the configuration writes it: ``2 h``, ``15 m``, ``90 s``."""
    for unit, length in (("h", 3600), ("m", 60)):
        if seconds >= length and seconds % length == 0:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:g} s"
