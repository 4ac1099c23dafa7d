"""From supervisor.yaml to Settings, or to the list of everything that is wrong with it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from consumers.retry import ReconnectPolicy
from supervisor.config.document import Node, Scalar, Table, kind_of, lines, nearest, parse
from supervisor.config.events import read_events
from supervisor.config.http import read_http
from supervisor.config.intake import read_intake
from supervisor.config.masking import private_variables
from supervisor.config.mistakes import ConfigError, Findings, Mistake
from supervisor.config.notices import read_notify
from supervisor.config.pools import read_pools
from supervisor.config.retention import read_retention
from supervisor.config.roles import cast_as, read_role
from supervisor.config.rules import contradictions
from supervisor.config.schedules import read_schedules
from supervisor.config.section import Section
from supervisor.config.settings import Heartbeat, Logs, Settings
from supervisor.config.values import (
    above_zero,
    between,
    broker,
    duration,
    folder,
    ledger,
    one_of,
    processor,
    size,
    whole,
)

_LARGEST_BODY = 16_000_000  # as base64 it still fits into a pipe frame
_SLOWEST_MEMORY_CHECK = 30.0  # seconds


@dataclass(frozen=True, slots=True)
class Configuration:
    """Settings with the file they came from and the line of every key in it.

    ``private`` are the variables in the environment that hold secrets of it.
    """

    settings: Settings
    file: str
    lines: Mapping[str, int]
    private: frozenset[str] = frozenset()


def load(path: Path, environ: Mapping[str, str]) -> Settings:
    """Return the settings in a file.

    Raises:
        ConfigError: naming every mistake there is.
    """
    return read(path, environ).settings


def read(path: Path, environ: Mapping[str, str]) -> Configuration:
    """Return the settings in a file, with their lines. Raises as ``load`` does."""
    file = str(path)
    findings = Findings(file)
    root = _root(parse(_text(path), environ, findings), file, findings)
    top = Section(root, "", findings)
    settings = _settings(top, findings)
    settings = msgspec.structs.replace(settings, role=read_role(top, environ, findings))
    top.finish()
    where = dict(lines(root))
    for found in contradictions(settings):
        if not findings.concern(found.key, *found.against):
            findings.add(nearest(found.key, where), found.key, found.what)
    findings.complain()
    return Configuration(cast_as(settings), file, where, private_variables(root))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        what = "there is no such file; name yours with -c PATH"
        raise ConfigError([Mistake(str(path), 0, "", what)]) from error
    except UnicodeDecodeError as error:
        what = f"is not UTF-8 text (byte {error.start}); save it as UTF-8"
        raise ConfigError([Mistake(str(path), 0, "", what)]) from error
    except OSError as error:
        what = f"cannot be read: {error.strerror}"
        raise ConfigError([Mistake(str(path), 0, "", what)]) from error


def _root(node: Node | None, file: str, findings: Findings) -> Table:
    if isinstance(node, Table):
        return node
    findings.complain()  # bad YAML says enough
    if node is None or (isinstance(node, Scalar) and node.kind == "null"):
        what = "is empty; it needs at least workers: with one pool"
    else:
        what = f"must be a mapping (key: value), is {kind_of(node)}"
    raise ConfigError([Mistake(file, 0, "", what)])


def _settings(top: Section, findings: Findings) -> Settings:
    state = folder("var")
    found = Settings(
        broker=top.value("broker", broker, "amqp://guest:guest@localhost:5672/"),
        state=top.value("state", folder, state),
        ledger=top.value("ledger", ledger, f"sqlite:///{state / 'ledger.db'}"),
        media=(media := top.section("media")).value("root", folder, folder("var/media")),
        media_keep=media.value("keep", duration, 0.0),
        media_quota=media.value("quota", size, 0),
        workers=read_pools(top),
        retention=read_retention(top.section("retention")),
        intake=read_intake(top.section("intake")),
        notify=read_notify(top, findings),
        heartbeat=_heartbeat(top.section("heartbeat")),
        reconnect=_reconnect(top.section("reconnect")),
        logs=_logs(top.section("logs")),
        http=read_http(top.section("http")),
        events=read_events(top.section("events")),
        hooks=top.values("hooks", processor),
        hook_timeout=top.value("hook_timeout", between(duration, 0.1, 3600.0, unit=" s"), 10.0),
    )
    found = _bounded(found, top)
    media.finish()
    schedules = read_schedules(top, found.workers, body_limit=found.body_limit)
    return msgspec.structs.replace(found, schedules=schedules)


def _bounded(found: Settings, top: Section) -> Settings:
    """Return the settings with the times and sizes that bound the house."""
    look = between(above_zero(duration), 0.0, _SLOWEST_MEMORY_CHECK, unit=" s")
    patience, parking = between(duration, 0.0, 3600.0, unit=" s"), between(duration, 1.0, unit=" s")
    body = between(size, 1, _LARGEST_BODY, unit=" bytes")
    return msgspec.structs.replace(
        found,
        memory_check=top.value("memory_check", look, found.memory_check),
        min_free_disk=top.value("min_free_disk", size, found.min_free_disk),
        min_free_memory=top.value("min_free_memory", size, found.min_free_memory),
        metrics=top.value("metrics", above_zero(duration), found.metrics),
        stop_grace=top.value("stop_grace", duration, found.stop_grace),
        cancel_grace=top.value("cancel_grace", patience, found.cancel_grace),
        park_after=top.value("park_after", parking, found.park_after),
        body_limit=top.value("body_limit", body, found.body_limit),
        body_warning=top.value("body_warning", size, found.body_warning),
    )


def _heartbeat(beat: Section) -> Heartbeat:
    default = Heartbeat()
    found = Heartbeat(
        interval=beat.value("interval", above_zero(duration), default.interval),
        timeout=beat.value("timeout", above_zero(duration), default.timeout),
    )
    beat.finish()
    return found


def _reconnect(again: Section) -> ReconnectPolicy:
    default = ReconnectPolicy()
    found = ReconnectPolicy(
        delay=again.value("delay", above_zero(duration), default.delay),
        max=again.value("max", above_zero(duration), default.max),
        give_up=again.value("give_up", between(whole, 1), default.give_up),
    )
    again.finish()
    return found


def _logs(logs: Section) -> Logs:
    default = Logs()
    found = Logs(
        level=logs.value("level", one_of("debug", "info", "warning", "error"), default.level),
        format=logs.value("format", one_of("auto", "console", "json"), default.format),
        keep=logs.value("keep", _kept_logs, default.keep),
    )
    logs.finish()
    return found


def _kept_logs(value: str) -> int:
    """Return how long a log file may become; none at all is allowed too."""
    return 0 if size(value) == 0 else between(size, 100_000, 1_000_000_000, unit=" bytes")(value)
