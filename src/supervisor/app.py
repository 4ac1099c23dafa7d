"""Running the supervisor: from its settings to its exit code."""

import contextlib
import faulthandler
from collections.abc import AsyncIterator
from pathlib import Path

from consumers import garbage, logs, loop
from consumers.clock import Clock, SystemClock
from supervisor import folders
from supervisor.api.socket import SocketError, refuse_second
from supervisor.blueprints import json_logs, log_file
from supervisor.config.masking import masked_url
from supervisor.config.mistakes import ConfigError
from supervisor.config.settings import Role, Settings
from supervisor.folders import FolderError
from supervisor.house import House
from supervisor.last_run import STARTS, marked
from supervisor.ledger.errors import LedgerError
from supervisor.ledger.lock import refuse_network
from supervisor.ledger.queues import Queues
from supervisor.ledger.store import Ledger
from supervisor.systemd import NOBODY, Notifier
from workers.spec import EMBEDDED

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_CONFIG = 78
EXIT_DAMAGED = 65  # the ledger: starting again would not help

CANNOT_START = (ConfigError, FolderError, LedgerError, SocketError)

log = logs.get(__name__)


def run(settings: Settings, *, config_path: Path, notifier: Notifier = NOBODY) -> int:
    """Run the supervisor until it is told to stop; return the exit code."""
    garbage.settle()
    faulthandler.enable()  # a watchdog that ends us learns where we were
    logs.configure(settings.logs.level, json=json_logs(settings))
    log.info("configuration read", config=str(config_path), state=str(settings.state))
    try:
        return loop.run(_serve(settings, notifier))
    except CANNOT_START as error:
        log.error("supervisor cannot start", why=str(error))  # noqa: TRY400 - a user's mistake
        return _exit_code(error)


def prepare(settings: Settings) -> str:
    """Make the folders there must be; return the id of this node. Raises as starting does."""
    refuse_network(settings.state, "state:")
    folders.prepare("state", settings.state)
    logs.configure(settings.logs.level, json=json_logs(settings), file=log_file(settings))
    if settings.role is not Role.API:  # nobody works there
        folders.prepare("media.root", settings.media)
    node = folders.node_id(settings.state)
    log.info(STARTS, node=node, ledger=masked_url(settings.ledger))
    return node


@contextlib.asynccontextmanager
async def opened(
    settings: Settings, node: str, clock: Clock
) -> AsyncIterator[tuple[Ledger, Queues | None]]:
    """Open the ledger, and its queues if they are embedded; close it at the end."""
    ledger = await Ledger.open(settings.ledger, clock=clock, node=node)
    try:
        queues = await Queues.open(ledger) if settings.broker == EMBEDDED else None
        refuse_second(settings.socket)  # it may have another ledger; its mark is not ours
        with marked(settings.state, settings.log_folder, clock):
            yield ledger, queues
    finally:
        await ledger.close()


async def _serve(settings: Settings, notifier: Notifier) -> int:
    clock, node = SystemClock(), prepare(settings)
    notifier.status("opening the ledger")
    async with opened(settings, node, clock) as (ledger, queues):
        async with House(settings, ledger, queues, clock, notifier) as house:
            await house.coordinator.run()
        log.info("supervisor stopped")
    return EXIT_FAILED if house.has_failed else EXIT_DONE


def _exit_code(error: Exception) -> int:
    if isinstance(error, ConfigError):
        return EXIT_CONFIG
    trouble = error.trouble if isinstance(error, LedgerError) else None
    return EXIT_DAMAGED if trouble is not None and trouble.is_lasting else EXIT_FAILED
