"""What the settings mean for each part of the house: specs, policies, cards, sinks, a broker."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import msgspec

from consumers.broker.embedded import EmbeddedBroker
from consumers.broker.port import Broker
from consumers.broker.rabbitmq import Alarm, RabbitBroker
from consumers.clock import Clock
from consumers.jobs import ONE_TO_FIVE
from consumers.log_file import LogFile, path_of
from consumers.topology import inflight
from supervisor.config.rules import queues_of
from supervisor.config.settings import Pool, Retention, Role, Settings
from supervisor.core.fleet import PoolPolicy, RestartPolicy
from supervisor.core.log_lines import SUPERVISOR
from supervisor.core.records import JobState, PoolCard
from supervisor.core.retention import Rule
from supervisor.folders import node_id
from supervisor.ledger.queues import Queues
from supervisor.notify.log import LogSink
from supervisor.notify.sinks import Sink, webhook_names
from supervisor.notify.webhook import WebhookSink
from supervisor.parking import Plan
from workers import spool
from workers.spec import EMBEDDED, WorkerSpec

HARDER = 1.5  # the hard memory limit, as a multiple of the soft one, unless configured
OURSELVES = "coordinator"


def worker_spec(
    settings: Settings,
    worker: str,
    incarnation: int,
    *,
    holds: Mapping[str, str],
    plan: Plan | None = None,
) -> WorkerSpec:
    """Return what a new process is told about itself; ``holds`` are in force from its start.

    Jobs that take long are parked by ``plan``, if there is one.
    """
    pool = settings.workers[worker.rpartition("-")[0]]
    found = WorkerSpec(
        worker_id=worker,
        incarnation=incarnation,
        pool=pool.name,
        processor=pool.processor,
        queues=queues_of(pool),
        broker=settings.broker,
        media=str(settings.media),
        stacks=str(settings.state / "stacks" / f"{worker}.txt"),
        spool=str(spools(settings) / f"{worker}{spool.ENDING}"),
        concurrency=pool.concurrency,
        retry=pool.retry,
        timeout=pool.timeout,
        cpu=pool.cpu,
        options=pool.options,
        types=dict(pool.types),
        priority_map=dict(pool.priority_map),
        limits=pool.limits,
        inflight="" if plan is None else inflight(plan.node),
        holds=dict(holds),
    )
    return _at_home(found, settings)


def _at_home(spec: WorkerSpec, settings: Settings) -> WorkerSpec:
    """Return a spec with what is the same for the workers of all pools."""
    return msgspec.structs.replace(
        spec,
        reconnect=settings.reconnect,
        heartbeat=settings.heartbeat.interval,
        metrics=settings.metrics,
        body_limit=settings.body_limit,
        body_warning=settings.body_warning,
        park_after=settings.park_after,
        log_level=settings.logs.level,
        log_json=json_logs(settings),
        log_file=str(path_of(settings.log_folder, spec.worker_id)) if settings.logs.keep else "",
        log_keep=settings.logs.keep,
    )


def spools(settings: Settings) -> Path:
    """Return the folder of the workers' spools: its jobs are those of one broker and ledger."""
    home = hashlib.sha256(f"{settings.broker}\n{settings.ledger}".encode()).hexdigest()
    return settings.state / "spool" / home[:12]


def parking_plan(settings: Settings) -> Plan | None:
    """Return how jobs that take long are parked; None where nobody takes them back."""
    if settings.broker == EMBEDDED or settings.role is Role.API:
        return None
    pools = tuple(queues_of(pool) for pool in settings.own.values())
    return Plan(node_id(settings.state), settings.park_after, pools)


def sinks(settings: Settings, clock: Clock) -> list[Sink]:
    """Return who is told of outcomes, the log first."""
    webhooks = settings.notify.webhooks
    names = webhook_names(webhook.url for webhook in webhooks)
    sinks: list[Sink] = [
        WebhookSink(name, hook.url, secret=hook.secret, timeout=hook.timeout, clock=clock)
        for name, hook in zip(names, webhooks, strict=True)
    ]
    return [LogSink(), *sinks] if settings.notify.log else sinks


def broker(settings: Settings, queues: Queues | None, alarmed: Alarm) -> Broker:
    """Return where the coordinator's own session comes from."""
    if queues is not None:
        return EmbeddedBroker(queues.local(OURSELVES))
    return RabbitBroker(settings.broker, alarmed=alarmed)


def pool_card(pool: Pool, settings: Settings) -> PoolCard:
    """Return what the coordinator's parts know a pool by."""
    roomier = pool.on_memory.requeue
    return PoolCard(
        pool.name,
        queues_of(pool),
        pool.max_crashes,
        timeout=pool.timeout,
        dead_by_memory=pool.on_memory.dead,
        # No circle is possible: the configuration was checked for it.
        roomier=pool_card(settings.workers[roomier], settings) if roomier else None,
        limits=pool.limits,
        scale=pool.priority_map or ONE_TO_FIVE,
        then=pool.then,
        types=tuple(pool.types),
        needs_type=pool.needs_type,
    )


def pool_policy(pool: Pool, settings: Settings) -> PoolPolicy:
    """Return the rules that a pool's workers live by."""
    hard = pool.memory_hard
    if hard is None and pool.memory is not None:
        hard = int(pool.memory * HARDER)
    return PoolPolicy(
        name=pool.name,
        instances=pool.instances,
        restart=RestartPolicy(pool.restart.value),
        delay=pool.backoff.delay,
        max_delay=pool.backoff.max,
        stable=pool.backoff.stable,
        memory_soft=pool.memory,
        memory_hard=hard,
        max_cpu=pool.max_cpu,
        timeout=pool.timeout,
        # A worker is not replaced before its jobs may be called stalled.
        heartbeat_timeout=max(settings.heartbeat.timeout, pool.stalled_after or 0.0),
        stalled_after=pool.stalled_after or settings.heartbeat.timeout,
        stop_grace=settings.stop_grace,
    )


def retention_rules(keep: Retention) -> Mapping[JobState, Rule]:
    """Return how long finished jobs stay, by how they ended."""
    return {
        JobState.COMPLETED: keep.completed,
        JobState.FAILED: keep.failed,
        JobState.CANCELLED: keep.cancelled,
        JobState.REMOVED: keep.removed,
    }


def json_logs(settings: Settings) -> bool | None:
    """Return whether logs are JSON; None leaves it to whether stderr is a terminal."""
    return {"console": False, "json": True}.get(settings.logs.format)


def log_file(settings: Settings) -> LogFile | None:
    """Return where the supervisor's own lines are kept, if they are."""
    keep = settings.logs.keep
    return LogFile(path_of(settings.log_folder, SUPERVISOR), keep) if keep else None
