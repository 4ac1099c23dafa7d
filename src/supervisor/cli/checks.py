"""What ``doctor`` looks at: one question each, answered with what to do about it.

Media tools are asked in processes of their own; nothing of theirs is imported here.
"""

import asyncio
import enum
import os
import platform
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from consumers.oversized import REMEDY, finding
from consumers.topology import UNROUTABLE, oversized
from supervisor.client import Client, NoSupervisorError
from supervisor.config.load import Configuration
from supervisor.config.masking import masked_url
from supervisor.config.processors import missing_processors
from supervisor.config.rules import queues_of
from supervisor.config.settings import Role, Settings
from supervisor.config.values import EMBEDDED
from supervisor.ledger.errors import LedgerError
from supervisor.ledger.lock import refuse_network
from supervisor.ports import ControlError

_PATIENCE = 20.0  # seconds for one tool
_BROKER_PATIENCE = 15.0
_FILE = "sqlite:///"
_LITTLE_SPACE = 2_000_000_000  # bytes; a few videos
_MEGABYTES_BELOW = 10_000_000_000  # bytes

_FFMPEG = (
    "import workers.media.tools.binaries as b; f = b.find(); print(f.ffmpeg); print(f.ffprobe)"
)
_JAVASCRIPT = "import workers.media.fetching.javascript as j; print(j.report())"
_INSTALL_RUNTIME = (
    "pip install 'rabbit-supervisor[youtube]', which brings deno; "
    "node 22, bun 1.2.11 or quickjs 2023-12-9 will do as well"
)
_START_BROKER = (
    "start one: docker compose -f docker-compose.rabbitmq.yml up -d, "
    "or correct broker: in the configuration"
)
_INSTALL_FFMPEG = "apt-get install ffmpeg, or pip install 'rabbit-supervisor[ffmpeg]'"


class Level(enum.Enum):
    """How an answer is meant."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


class Answer(msgspec.Struct, frozen=True):
    """One line of the doctor: what was looked at, what was found, what to do."""

    level: Level
    what: str
    found: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class _Seen:
    """A look at the broker."""

    peer: str
    strays: int  # jobs nobody could deliver
    oversized: Mapping[str, int]  # letters too large to record, by dead-letter queue
    dangers: tuple[str, ...]  # what may lose messages


def about_python() -> Answer:
    """Answer which Python this is, and whether the platform is the one we know."""
    found = f"{platform.python_version()} on {platform.system()} {platform.release()}"
    if sys.platform.startswith("linux"):
        return Answer(Level.OK, "python", found)
    return Answer(Level.WARN, "python", found, "good enough to develop on; run it on Linux")


def about_folders(settings: Settings) -> Iterator[Answer]:
    """Answer whether files can be kept, and how much room there is."""
    yield _folder("state folder", settings.state, "state:")
    yield from _over_the_network(settings)
    if settings.role is Role.API:
        return  # who does no work needs no folder for results
    media = _folder("media folder", settings.media, "media.root:")
    yield media
    if media.level is Level.OK:
        yield _space(settings.media, settings.min_free_disk)


def about_broker(settings: Settings) -> Iterator[Answer]:
    """Answer whether the broker can be reached, what it is, and what nobody could deliver."""
    if settings.broker == EMBEDDED:
        yield Answer(Level.OK, "broker", "embedded: the queues are in the ledger's file")
        return
    from consumers.errors import BrokerError

    address = masked_url(settings.broker)
    try:
        seen = asyncio.run(asyncio.wait_for(_look_at(settings), _BROKER_PATIENCE))
    except (BrokerError, ValueError) as error:
        yield Answer(Level.FAIL, "broker", str(error), _broker_remedy(error))
    except TimeoutError:
        found = f"{address} did not answer in {_BROKER_PATIENCE:g} s"
        yield Answer(Level.FAIL, "broker", found, f"look at its log, or {_START_BROKER}")
    else:
        yield Answer(Level.OK, "broker", f"{seen.peer} at {address}")
        yield _strays(seen.strays)
        yield from _oversized(seen.oversized)
        yield from _dangers(seen.dangers)


def _broker_remedy(error: BaseException) -> str:
    from consumers.errors import ForbiddenError

    causes = tuple(_causes(error))
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return "check the host name in broker:"
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        return "check the certificates, and the port: amqps:// has one of its own"
    if isinstance(error, ForbiddenError):
        return "check user, password and vhost in broker:"
    if isinstance(error, ValueError):
        return "correct broker: in the configuration"
    return _START_BROKER


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _strays(count: int) -> Answer:
    if not count:
        return Answer(Level.OK, "delayed jobs", "none has lost its queue")
    found = f"{count} have lost their queue and wait in {UNROUTABLE}"
    return Answer(Level.WARN, "delayed jobs", found, "start the supervisor: it sends them on")


def _oversized(counts: Mapping[str, int]) -> Iterator[Answer]:
    for dead, count in counts.items():
        if count:
            yield Answer(Level.WARN, "dead letters", finding(dead, count), REMEDY)
    if not any(counts.values()):
        yield Answer(Level.OK, "dead letters", "none was too large to be recorded")


def _dangers(dangers: Sequence[str]) -> Iterator[Answer]:
    remedy = "delete the queue when it is empty: it is made again as it should be"
    for danger in dangers:
        yield Answer(Level.WARN, "queues", danger, remedy)
    if not dangers:
        yield Answer(Level.OK, "queues", "none throws messages away by its arguments")


async def _look_at(settings: Settings) -> _Seen:
    """Return what there is to be said of the broker and our queues in it. Raises BrokerError."""
    from consumers.broker.rabbitmq import RabbitBroker
    from consumers.survey import survey

    session = await RabbitBroker(settings.broker).connect()
    try:
        pools = [queues_of(pool) for pool in settings.workers.values()]
        dangers = [danger for pool in pools for danger in await survey(session, pool)]
        return _Seen(
            session.peer,
            strays=await session.depth(UNROUTABLE),
            oversized={pool.dead: await session.depth(oversized(pool.dead)) for pool in pools},
            dangers=tuple(dict.fromkeys(dangers)),
        )
    finally:
        await session.close()


def about_supervisor(settings: Settings) -> Iterator[Answer]:
    """Answer whether a supervisor runs here, and what keeps it from its work."""
    path = settings.socket
    try:
        with Client(path, patience=5.0) as client:
            status = client.status()
    except NoSupervisorError:
        yield Answer(Level.OK, "supervisor", f"none is running here ({path})")
    except ControlError as error:
        yield Answer(Level.FAIL, "supervisor", str(error), "look at its log, or restart it")
    else:
        found = f"running, pid {status.pid}, version {status.version}"
        yield Answer(Level.OK, "supervisor", found)
        for condition in status.conditions:
            yield Answer(Level.WARN, "supervisor", condition.sentence)
        for queue in status.queues:
            # What was moved aside the broker itself was asked for, where it is a server.
            for warning in queue.warnings if queue.staying or settings.broker == EMBEDDED else ():
                yield Answer(Level.WARN, "dead letters", f"pool {queue.pool}: {warning}")


def about_ffmpeg() -> Iterator[Answer]:
    """Answer where ffmpeg and ffprobe are, and which version."""
    found = _ask(sys.executable, "-c", _FFMPEG)
    paths = (found or "").split("\n")
    if len(paths) < 2:
        why = "ffmpeg and ffprobe were not found"
        yield Answer(Level.FAIL, "ffmpeg", why, _INSTALL_FFMPEG)
        return
    for name, path in zip(("ffmpeg", "ffprobe"), paths, strict=False):
        said = _ask(path, "-version")
        words = (said or "").split()
        if said is None or len(words) < 3:
            yield Answer(Level.FAIL, name, f"{path} does not run", _INSTALL_FFMPEG)
        else:
            yield Answer(Level.OK, name, f"{words[2]} at {path}")


def about_ytdlp() -> Answer:
    """Answer which yt-dlp there is."""
    said = _ask(sys.executable, "-m", "yt_dlp", "--ignore-config", "--version")
    if not said:
        return Answer(Level.FAIL, "yt-dlp", "does not run", "pip install --upgrade yt-dlp")
    return Answer(Level.OK, "yt-dlp", said.split("\n", maxsplit=1)[0])


def about_javascript() -> Answer:
    """Answer whether YouTube's videos can be had: their links come out of a program."""
    said = _ask(sys.executable, "-c", _JAVASCRIPT) or "lacking: it cannot be asked"
    verdict, _, found = said.partition(": ")
    if verdict == "ok":
        return Answer(Level.OK, "javascript", found)
    return Answer(Level.WARN, "javascript", f"YouTube will not work: {found}", _INSTALL_RUNTIME)


def about_processors(configuration: Configuration) -> Iterator[Answer]:
    """Answer whether every pool's processor can be imported."""
    mistakes = missing_processors(configuration)
    for mistake in mistakes:
        remedy = "correct the name, or install what it needs"
        yield Answer(Level.FAIL, "processor", mistake.sentence(), remedy)
    if not mistakes:
        pools = configuration.settings.workers.values()
        names = {name for pool in pools for name in pool.processors}
        yield Answer(Level.OK, "processors", ", ".join(sorted(names)))


def _folder(what: str, folder: Path, key: str) -> Answer:
    nearest = folder
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    try:
        # Writing is tried: permission bits say nothing about root, read-only mounts and quotas.
        with tempfile.NamedTemporaryFile(dir=nearest):
            pass
    except OSError as error:
        remedy = f"make it writable for user {os.getuid()}, or choose another {key}"
        return Answer(Level.FAIL, what, f"{folder}: {error.strerror} ({nearest})", remedy)
    made = "" if folder.exists() else " (will be made)"
    return Answer(Level.OK, what, f"{folder}{made}")


def _over_the_network(settings: Settings) -> Iterator[Answer]:
    """Answer what lies where the supervisor will not start."""
    places = [("state folder", settings.state, "state:")]
    if settings.ledger.startswith(_FILE):
        places.append(("ledger", Path(settings.ledger.removeprefix(_FILE)), "ledger:"))
    for what, path, key in places:
        try:
            refuse_network(path, key)
        except LedgerError as error:
            yield Answer(Level.FAIL, what, str(error), f"name a folder on a local disk in {key}")


def about_ledger(settings: Settings) -> Iterator[Answer]:
    """Answer whether the server of the ledger can be reached, if it has one."""
    if settings.ledger.startswith(_FILE):
        return
    from supervisor.ledger import survey

    try:
        seen = survey.look(settings.ledger)
    except LedgerError as error:
        yield Answer(Level.FAIL, "ledger", str(error), "see docs/postgresql.md")
    else:
        yield Answer(Level.OK, "ledger", f"{seen.database} at {seen.name}")


def _space(folder: Path, needed: int) -> Answer:
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    found = f"{room(free)} free"
    if free < needed:
        found = f"{found}, no job begins below {room(needed)} (min_free_disk)"
        return Answer(Level.FAIL, "disk", found, f"make room on the disk of {folder}")
    if free < _LITTLE_SPACE:
        return Answer(Level.WARN, "disk", found, "make room; a download needs its size twice")
    return Answer(Level.OK, "disk", found)


def room(size: int) -> str:
    """Return bytes as people compare them: in MB, as long as few of them count."""
    return f"{size / 1e6:,.0f} MB" if size < _MEGABYTES_BELOW else f"{size / 1e9:,.1f} GB"


def _ask(*command: str) -> str | None:
    """Return what a program printed, or None if it failed."""
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=_PATIENCE, check=False, text=True
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
