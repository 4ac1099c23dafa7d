"""What must hold between keys: no queue twice, no hard limit below the soft one. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from consumers.topology import PoolQueues, pool_queues
from supervisor.config.chains import faults
from supervisor.config.mistakes import did_you_mean
from supervisor.config.settings import Pool, Role, Settings
from supervisor.config.values import EMBEDDED

_SQLITE = "sqlite:"


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A key that does not go with others, named in ``against``."""

    key: str
    what: str
    against: tuple[str, ...] = ()


def contradictions(settings: Settings) -> Iterator[Contradiction]:
    """Yield what is right by itself and wrong together."""
    yield from _queues(settings)
    yield from _ledger(settings)
    yield from _times(settings)
    yield from _http(settings)
    yield from _role(settings)
    for pool in settings.workers.values():
        yield from _limits(pool)
        yield from _ways_out(pool, settings.workers)
        yield from _ways_on(pool, settings.workers)


def queues_of(pool: Pool) -> PoolQueues:
    """Return the names of a pool's queues."""
    return pool_queues(pool.queue, dead=pool.dead_letter)


def _queues(settings: Settings) -> Iterator[Contradiction]:
    """Yield queues that two pools would fight over; only dead letters may be shared."""
    taken: dict[str, tuple[str, str]] = {}  # queue: (role, key of the pool)
    for pool in settings.workers.values():
        key = f"workers.{pool.name}"
        for role, field, name in _roles(pool):
            first_role, first = taken.setdefault(name, (role, key))
            if (first_role, first) == (role, key) or role == first_role == "dead-letter queue":
                continue
            whose = "its own" if first == key else f"{first}'s"
            what = f"its {role} {name} is already {whose} {first_role}; choose another name"
            yield Contradiction(f"{key}.{field}", what, against=(f"{first}.queue",))


def _roles(pool: Pool) -> Iterator[tuple[str, str, str]]:
    if not pool.queue:  # missing, and reported
        return
    names = queues_of(pool)
    yield "queue", "queue", names.public
    yield "priority lane", "queue", names.priority
    field = "dead_letter" if pool.dead_letter else "queue"
    yield "dead-letter queue", field, names.dead


def _ledger(settings: Settings) -> Iterator[Contradiction]:
    if settings.broker == EMBEDDED and not settings.ledger.startswith(_SQLITE):
        what = "broker: embedded keeps its queues in the ledger, which must then be sqlite:///..."
        yield Contradiction("ledger", what, against=("broker",))


def _times(settings: Settings) -> Iterator[Contradiction]:
    beat = settings.heartbeat
    if beat.timeout < 2 * beat.interval:
        what = (
            f"must be at least twice the interval ({beat.interval:g} s), is {beat.timeout:g} s; "
            "one late beat is no reason to kill a worker"
        )
        yield Contradiction("heartbeat.timeout", what, against=("heartbeat.interval",))
    again = settings.reconnect
    if again.max < again.delay:
        yield _below("reconnect.max", again.max, "reconnect.delay", again.delay)
    if settings.body_warning > settings.body_limit:
        what = "must not be above body_limit, or it never warns"
        yield Contradiction("body_warning", what, against=("body_limit",))


def _http(settings: Settings) -> Iterator[Contradiction]:
    listen = settings.http.listen
    if listen is not None and not listen.is_loopback and settings.http.tokens is None:
        what = (
            f"is missing, and {listen.words} can be reached from other machines; name the file of "
            "tokens that open it, or listen on 127.0.0.1"
        )
        yield Contradiction("http.tokens", what, against=("http.listen",))
    if settings.http.worker_secret is not None and settings.http.tokens is None:
        what = (
            "opens nothing without http.tokens: where no token is asked for, everybody who reaches "
            "the address may do everything; name the file of tokens"
        )
        yield Contradiction("http.worker_secret", what, against=("http.tokens",))


def _role(settings: Settings) -> Iterator[Contradiction]:
    if settings.role is Role.API and settings.broker == EMBEDDED:
        what = (
            "api publishes for workers elsewhere, but broker: embedded keeps the queues here; "
            "use RabbitMQ, or role: all"
        )
        yield Contradiction("role", what, against=("broker",))


def _limits(pool: Pool) -> Iterator[Contradiction]:
    key = f"workers.{pool.name}"
    if pool.memory_hard is not None and pool.memory is None:
        what = "needs memory, the limit at which a worker may still finish its job"
        yield Contradiction(f"{key}.memory_hard", what, against=(f"{key}.memory",))
    if pool.memory_hard is not None and pool.memory is not None and pool.memory_hard < pool.memory:
        what = "must not be below memory, at which a worker may still finish its job"
        yield Contradiction(f"{key}.memory_hard", what, against=(f"{key}.memory",))
    if pool.backoff.max < pool.backoff.delay:
        below = (pool.backoff.max, f"{key}.backoff.delay", pool.backoff.delay)
        yield _below(f"{key}.backoff.max", *below)
    if pool.retry.max < pool.retry.delay:
        yield _below(f"{key}.retry.max", pool.retry.max, f"{key}.retry.delay", pool.retry.delay)


def _ways_out(pool: Pool, pools: Mapping[str, Pool]) -> Iterator[Contradiction]:
    """Yield a way for jobs too large for a pool that leads nowhere, or back."""
    key, target = f"workers.{pool.name}.on_memory.requeue", pool.on_memory.requeue
    if not target:
        return
    if target not in pools:
        what = f"names {target}, which is no pool; {did_you_mean(target, tuple(pools))}"
        yield Contradiction(key, what)
        return
    way = [pool.name]
    while target in pools and target not in way:
        way.append(target)
        target = pools[target].on_memory.requeue
    if target == pool.name:
        circle = " -> ".join([*way, target])
        what = f"leads back to this pool ({circle}); name one with more memory that sends none back"
        yield Contradiction(key, what)


def _ways_on(pool: Pool, pools: Mapping[str, Pool]) -> Iterator[Contradiction]:
    """Yield what is wrong with what follows the jobs of a pool."""
    for place, what, about in faults(pool, pools):
        against = (f"workers.{about}.types", f"workers.{about}.processor")
        yield Contradiction(f"workers.{pool.name}.{place}", what, against)


def _below(key: str, most: float, other: str, least: float) -> Contradiction:
    what = f"must not be below {other.rpartition('.')[2]} ({least:g} s), is {most:g} s"
    return Contradiction(key, what, against=(other,))
