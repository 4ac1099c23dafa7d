"""The effective configuration as text that may be shown: every default filled in, no secret."""

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import msgspec

from consumers.chains import Step, written
from consumers.limits import Limits
from consumers.retry import Backoff, ReconnectPolicy, RetryPolicy
from supervisor.config.document import Node, scalars, write
from supervisor.config.settings import (
    Events,
    Http,
    Logs,
    Notify,
    OnMemory,
    Pool,
    RestartDelay,
    Retention,
    Settings,
    Webhook,
)
from supervisor.core.intake import Pace
from supervisor.core.schedules import Missed, Timetable

MASK = "***"
_SECRET_NAME = re.compile(r"pass|secret|token|api_?key|credential|signature|auth", re.IGNORECASE)
_UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))
_SIZES = (("GB", 10**9), ("MB", 10**6), ("kB", 10**3))


def masked(settings: Settings) -> str:
    """Return the settings as YAML text; without secrets in them it reads back as the same."""
    return write(
        {
            "broker": masked_url(settings.broker),
            "state": str(settings.state),
            "ledger": masked_url(settings.ledger),
            "media": _media(settings),
            "retention": _retention(settings.retention),
            "heartbeat": _times(settings.heartbeat),
            "reconnect": _reconnect(settings.reconnect),
            **_times_and_sizes(settings),
            "logs": _logs(settings.logs),
            "role": settings.role.value,
            **_http(settings.http),
            "events": _events(settings.events),
            **({"hooks": list(settings.hooks)} if settings.hooks else {}),
            "hook_timeout": human_time(settings.hook_timeout),
            "notify": _notify(settings.notify),
            "workers": {name: _pool(pool) for name, pool in settings.workers.items()},
            "intake": _intake(settings.intake),
            "schedules": {
                name: _schedule(each) for name, each in (settings.schedules or {}).items()
            },
        }
    )


def private_variables(root: Node) -> frozenset[str]:
    """Return the names of the variables of which a value is made that is not shown as it is."""
    secret = (
        scalar.variables
        for name, scalar in scalars(root)
        if scalar.variables and _shown(name, scalar.text) != scalar.text
    )
    return frozenset[str]().union(*secret)


def _shown(name: str, text: str) -> object:
    # `url` is a key of webhooks; where else it is one, to be careful costs nothing.
    return _masked_hook(text) if name == "url" and "://" in text else _option(name, text)


def masked_url(url: str) -> str:
    """Return a URL without its password and without the values of secret query parameters."""
    parts = urlsplit(url)
    place = parts.netloc
    if parts.password:
        user, _, host = place.rpartition("@")
        place = f"{user.partition(':')[0]}:{MASK}@{host}"
    query = parts.query
    if _SECRET_NAME.search(query):
        pairs = parse_qsl(query, keep_blank_values=True)
        shown = [(name, MASK if _SECRET_NAME.search(name) else value) for name, value in pairs]
        query = urlencode(shown, safe="*/:")
    if (place, query) == (parts.netloc, parts.query):
        return url
    return urlunsplit(parts._replace(netloc=place, query=query))


def human_time(seconds: float) -> str:
    """Return a duration as people write it: ``10m``, ``1.5s``, ``500ms``."""
    for unit, factor in _UNITS:
        if seconds >= factor and (seconds / factor).is_integer():
            return f"{seconds / factor:.0f}{unit}"
    if 0 < seconds < 1 and (seconds * 1000).is_integer():
        return f"{seconds * 1000:.0f}ms"
    return f"{seconds!r}s" if seconds else "0s"


def human_size(size: int) -> str:
    """Return a size as people write it: ``512MB``, or bare bytes when it is not round."""
    for unit, factor in _SIZES:
        if size >= factor and size % factor == 0:
            return f"{size // factor}{unit}"
    return str(size)


def _times_and_sizes(settings: Settings) -> dict[str, object]:
    times = ("memory_check", "metrics", "stop_grace", "cancel_grace", "park_after")
    sizes = ("min_free_disk", "min_free_memory", "body_limit", "body_warning")
    said: dict[str, object] = {name: human_time(getattr(settings, name)) for name in times}
    return said | {name: human_size(getattr(settings, name)) for name in sizes}


def _media(settings: Settings) -> dict[str, object]:
    return {
        "root": str(settings.media),
        "keep": human_time(settings.media_keep),
        "quota": human_size(settings.media_quota),
    }


def _retention(keep: Retention) -> dict[str, object]:
    said: dict[str, dict[str, object]] = {
        name: {"age": human_time(rule.age), "count": rule.count}
        for name, rule in msgspec.structs.asdict(keep).items()
    }
    del said["intake"]["count"]  # its rows go by their age alone
    return dict(said)


def _reconnect(again: ReconnectPolicy) -> dict[str, object]:
    return {
        "delay": human_time(again.delay),
        "max": human_time(again.max),
        "give_up": again.give_up,
    }


def _logs(logs: Logs) -> dict[str, object]:
    return {"level": logs.level, "format": logs.format, "keep": human_size(logs.keep)}


def _events(events: Events) -> dict[str, object]:
    said: dict[str, object] = {"exchange": events.exchange or "off"}
    return said | ({"only": list(events.only)} if events.only else {})


def _http(http: Http) -> dict[str, object]:
    if http.listen is None:
        return {}
    shown: dict[str, object | None] = {
        "listen": http.listen.words,
        "tokens": None if http.tokens is None else str(http.tokens),
        "worker_secret": MASK if http.worker_secret else None,
        "body_limit": human_size(http.body_limit),
        "request_timeout": human_time(http.request_timeout),
        "keep_alive": human_time(http.keep_alive),
        "rate_limit": "off" if http.rate_limit is None else http.rate_limit.words,
        "max_streams": http.max_streams,
        "max_connections": http.max_connections,
    }
    return {"http": {name: value for name, value in shown.items() if value is not None}}


def _times(of: msgspec.Struct) -> dict[str, object]:
    values = msgspec.structs.asdict(of)
    return {name: human_time(value) for name, value in values.items()}


def _pool(pool: Pool) -> dict[str, object]:
    shown: dict[str, object | None] = {
        "queue": pool.queue,
        "processor": pool.processor or None,
        "types": dict(pool.types) or None,
        "priority_map": {str(n): each.word for n, each in pool.priority_map.items()} or None,
        "instances": pool.instances,
        "concurrency": pool.concurrency,
        "dead_letter": pool.dead_letter,
        "memory": None if pool.memory is None else human_size(pool.memory),
        "memory_hard": None if pool.memory_hard is None else human_size(pool.memory_hard),
        "cpu": pool.cpu,
        "max_cpu": pool.max_cpu,
        "restart": pool.restart.value,
        "backoff": _backoff(pool.backoff),
        "retry": _retry(pool.retry),
        "timeout": human_time(pool.timeout),
        "max_crashes": pool.max_crashes,
        "stalled_after": None if pool.stalled_after is None else human_time(pool.stalled_after),
        "on_memory": _on_memory(pool.on_memory),
        "limits": _limits(pool.limits) or None,
        "options": _options(pool.options) or None,
        "then": _steps(pool.then) or None,
    }
    return {name: value for name, value in shown.items() if value is not None}


def _steps(steps: tuple[Step, ...]) -> list[dict[str, object]]:
    return [_options(step) for step in written(steps)]


def _intake(pace: Pace) -> dict[str, object]:
    values = msgspec.structs.asdict(pace)
    return values | {"interval": human_time(pace.interval)}


def _schedule(schedule: Timetable) -> dict[str, object]:
    is_cron = schedule.every is None
    is_skipping = schedule.missed is Missed.SKIP
    shown: dict[str, object | None] = {
        "pool": schedule.pool,
        "cron": schedule.cron,
        "every": None if schedule.every is None else human_time(schedule.every),
        "zone": schedule.zone if is_cron else None,
        "data": _options(msgspec.json.decode(schedule.body, type=dict[str, object])) or None,
        "priority": schedule.priority.word,
        "missed": schedule.missed.value,
        "at_most": None if is_skipping else schedule.at_most,
    }
    return {name: value for name, value in shown.items() if value is not None}


def _on_memory(choice: OnMemory) -> object:
    if choice.requeue:
        return {"requeue": choice.requeue}
    return "dead" if choice.dead else None


def _limits(limits: Limits) -> dict[str, object]:
    rate: dict[str, object] = {}
    if limits.rate is not None:
        rate = {"rate": limits.rate.words, "burst": limits.burst}
    by: dict[str, object] = {"by": limits.by} if limits.by else {}
    together = {"concurrency": limits.concurrency} if limits.concurrency else {}
    return by | rate | together


def _backoff(backoff: RestartDelay) -> dict[str, object]:
    return _times(backoff)


def _retry(retry: RetryPolicy) -> dict[str, object]:
    shown: dict[str, object] = {
        "attempts": retry.attempts,
        "backoff": retry.backoff.value,
        "delay": human_time(retry.delay),
        "max": human_time(retry.max),
        "jitter": retry.jitter.value,
    }
    if retry.backoff is Backoff.LIST:
        shown["delays"] = [human_time(delay) for delay in retry.delays]
    return shown


def _notify(notify: Notify) -> dict[str, object]:
    templates = {"templates": str(notify.templates)} if notify.templates else {}
    hooks = [{"webhook": _webhook(hook)} for hook in notify.webhooks]
    sinks: list[object] = [{"log": notify.log}, *hooks]
    return {"language": notify.language, **templates, "sinks": sinks}


def _webhook(hook: Webhook) -> dict[str, object]:
    secret = {"secret": MASK} if hook.secret else {}
    return {"url": _masked_hook(hook.url), **secret, "timeout": human_time(hook.timeout)}


def _masked_hook(url: str) -> str:
    """Return where a webhook goes; the rest of its URL is often the secret itself."""
    parts = urlsplit(masked_url(url))
    if parts.path in {"", "/"} and not parts.query:
        return urlunsplit(parts)
    return f"{parts.scheme}://{parts.netloc}/{MASK}"


def _options(options: Mapping[str, object]) -> dict[str, object]:
    return {name: _option(name, value) for name, value in options.items()}


def _option(name: str, value: object) -> object:
    if isinstance(value, dict):
        return _options(value)
    if isinstance(value, list):
        return [_option(name, item) for item in value]
    if _SECRET_NAME.search(name) and value not in (None, ""):
        return MASK
    return masked_url(value) if isinstance(value, str) and "://" in value else value
