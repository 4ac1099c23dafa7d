"""Reading ``workers``: the pools, their limits, their policies."""

from collections.abc import Mapping

import msgspec

from consumers.retry import Backoff, Jitter, RetryPolicy
from consumers.topology import LONGEST_DELAY
from supervisor.config.document import Table
from supervisor.config.section import Section
from supervisor.config.settings import OnMemory, Pool, RestartDelay, RestartPolicy
from supervisor.config.values import (
    above_zero,
    between,
    duration,
    member,
    number,
    pool_name,
    processor,
    queue,
    size,
    whole,
)

_DEFAULT = Pool(name="", queue="", processor="")
_instances = between(whole, 0, 256)
_attempts = between(whole, 1, 1000)
_concurrency = between(whole, 1, 1000)
_crashes = between(whole, 1, 100)
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
        processor=pool.required(
            "processor", processor, "", why="name the function that does the work"
        ),
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
        on_memory=_on_memory(pool),
        options=pool.free("options"),
    )
    pool.finish()
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
