"""Reading ``workers``: the pools, their limits, their policies."""

from collections.abc import Mapping

import msgspec

from consumers.jobs import Priority
from consumers.limits import Limits
from consumers.retry import Backoff, Jitter, RetryPolicy
from consumers.topology import LONGEST_DELAY
from supervisor.config.chains import read_then
from supervisor.config.document import Table
from supervisor.config.section import Section
from supervisor.config.settings import OnMemory, Pool, RestartDelay, RestartPolicy
from supervisor.config.values import (
    above_zero,
    between,
    duration,
    job_type,
    limit_key,
    member,
    number,
    one_of,
    pool_name,
    processor,
    queue,
    rate,
    size,
    whole,
)
from supervisor.core.bounds import MOST_ATTEMPTS, MOST_WORKERS

_DEFAULT = Pool(name="", queue="", processor="")
_instances = between(whole, 0, MOST_WORKERS)
_attempts = between(whole, 1, MOST_ATTEMPTS)
_concurrency = between(whole, 1, 1000)
_crashes = between(whole, 1, 100)
_burst = between(whole, 1, 100_000)
_priority_number = between(whole, -1000, 1000)
_WORDS = tuple(each.word for each in Priority)
_retry_delay = between(duration, 0.0, LONGEST_DELAY, unit=" s")


def read_pools(top: Section) -> Mapping[str, Pool]:
    """Return the pools under ``workers``, at least one."""
    workers = top.section("workers")
    if not workers.names() and not top.is_reported("workers"):
        top.wrong("workers", "names no pool; at least one is needed, like download: {queue: ...}")
    pools: dict[str, Pool] = {}
    for name in workers.names():
        try:
            pools[pool_name(name)] = _pool(name, workers.section(name))
        except ValueError as error:
            workers.wrong(name, str(error))
    return pools


def _pool(name: str, pool: Section) -> Pool:
    # Every key of a pool, in the order of the reference.
    found = Pool(
        name=name,
        queue=pool.required("queue", queue, "", why="name the queue this pool consumes"),
        processor=_processor(pool),
        types=_types(pool.section("types")),
        priority_map=_priority_map(pool.section("priority_map")),
        instances=pool.value("instances", _instances, _DEFAULT.instances),
        concurrency=pool.value("concurrency", _concurrency, _DEFAULT.concurrency),
        dead_letter=pool.value("dead_letter", queue, None),
        memory=pool.value("memory", above_zero(size), None),
        memory_hard=pool.value("memory_hard", above_zero(size), None),
        cpu=pool.value("cpu", above_zero(number), _DEFAULT.cpu),
        max_cpu=pool.value("max_cpu", above_zero(number), None),
        restart=pool.value("restart", member(RestartPolicy), _DEFAULT.restart),
        backoff=_restart_delay(pool.section("backoff")),
        retry=_retry(pool.section("retry")),
        timeout=pool.value("timeout", above_zero(duration), _DEFAULT.timeout),
        max_crashes=pool.value("max_crashes", _crashes, _DEFAULT.max_crashes),
        stalled_after=pool.value("stalled_after", above_zero(duration), None),
        on_memory=_on_memory(pool),
        limits=_limits(pool.section("limits")),
        options=pool.free("options"),
        then=read_then(pool),
    )
    pool.finish()
    return found


def _processor(pool: Section) -> str:
    """Return what does the work; a pool whose jobs have types needs none besides."""
    types = pool.node("types")
    if isinstance(types, Table) and types.entries:
        return pool.value("processor", processor, "")
    why = "name the function that does the work, or one for each type of job under types:"
    return pool.required("processor", processor, "", why=why)


def _priority_map(numbers: Section) -> Mapping[int, Priority]:
    """Return what numbers mean as priorities, most urgent first as they are given."""
    found: dict[int, Priority] = {}
    for name in numbers.names():
        try:
            number = _priority_number(name)
        except ValueError as error:
            numbers.wrong(name, str(error))
            numbers.node(name)
            continue
        word = numbers.value(name, one_of(*_WORDS), Priority.NORMAL.word)
        found[number] = Priority[word.upper()]
    numbers.finish()
    return found


def _types(types: Section) -> Mapping[str, str]:
    """Return the processors of jobs by the types of their bodies."""
    found: dict[str, str] = {}
    for name in types.names():
        try:
            job_type(name)
        except ValueError as error:
            types.wrong(name, str(error))
        found[name] = types.value(name, processor, None) or ""
        if not found[name] and not types.is_reported(name):
            types.wrong(name, "has no value; name the processor of this type")
    types.finish()
    return found


def _on_memory(pool: Section) -> OnMemory:
    """Return what is said as ``dead`` or ``{requeue: POOL}``."""
    if not isinstance(pool.node("on_memory"), Table):
        word = pool.value("on_memory", _dead, "")
        return OnMemory(dead=bool(word))
    choice = pool.section("on_memory")
    found = OnMemory(requeue=choice.required("requeue", pool_name, "", why="name the pool"))
    choice.finish()
    return found


def _dead(value: str) -> str:
    if value != "dead":
        message = f"must be dead or {{requeue: POOL}}, is '{value}'"
        raise ValueError(message)
    return value


def _limits(limits: Section) -> Limits:
    found = Limits(
        rate=limits.value("rate", rate, None),
        burst=limits.value("burst", _burst, 1),
        by=limits.value("by", limit_key, ""),
        concurrency=limits.value("concurrency", _concurrency, None),
    )
    limits.finish()
    if any(limits.is_reported(name) for name in limits.names()):
        return found
    if found.burst > 1 and found.rate is None:
        limits.wrong("burst", "belongs to rate: say how many jobs in which time, like 10/s")
    if found.concurrency is not None and not found.by:
        why = "holds for each key: say by what, like from; for all jobs of a worker it is the "
        limits.wrong("concurrency", why + "pool's own concurrency")
    if found.by and found.rate is None and found.concurrency is None:
        limits.wrong("by", "limits nothing by itself; say rate: 10/s or concurrency: 2 as well")
    return found


def _restart_delay(backoff: Section) -> RestartDelay:
    default = RestartDelay()
    found = RestartDelay(
        delay=backoff.value("delay", duration, default.delay),
        max=backoff.value("max", duration, default.max),
        stable=backoff.value("stable", duration, default.stable),
    )
    backoff.finish()
    # A long first delay alone is no contradiction: the cap follows it.
    if "max" not in backoff.names() and found.delay > found.max:
        return msgspec.structs.replace(found, max=found.delay)
    return found


def _retry(retry: Section) -> RetryPolicy:
    default = RetryPolicy()
    delays = retry.values("delays", _retry_delay)
    by_list = "delays" in retry.names()
    attempts = len(delays) + 1 if delays else default.attempts  # the first run has no delay
    found = RetryPolicy(
        attempts=retry.value("attempts", _attempts, attempts),
        backoff=retry.value(
            "backoff", member(Backoff), Backoff.LIST if by_list else default.backoff
        ),
        delay=retry.value("delay", _retry_delay, default.delay),
        max=retry.value("max", _retry_delay, default.max),
        jitter=retry.value("jitter", member(Jitter), default.jitter),
        delays=delays,
    )
    if by_list and found.backoff is not Backoff.LIST:
        retry.wrong("delays", f"belongs to backoff: list, but backoff is {found.backoff.value}")
    if found.backoff is Backoff.LIST and not by_list:
        retry.wrong("backoff", "is list; say which: delays: [1s, 10s, 1m]")
    retry.finish()
    if "max" not in retry.names() and found.delay > found.max:
        return msgspec.structs.replace(found, max=found.delay)
    return found
