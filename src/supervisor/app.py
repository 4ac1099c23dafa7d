"""Running the supervisor: from its settings to its exit code."""

import faulthandler
from pathlib import Path

from consumers import logs, loop
from consumers.clock import SystemClock
from supervisor import folders
from supervisor.api.socket import SocketError
from supervisor.blueprints import json_logs
from supervisor.config.settings import Settings
from supervisor.folders import FolderError
from supervisor.house import House
from supervisor.ledger.errors import LedgerError
from supervisor.ledger.lock import refuse_network
from supervisor.ledger.queues import Queues
from supervisor.ledger.store import Ledger
from supervisor.systemd import NOBODY, Notifier
from workers.spec import EMBEDDED

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_DAMAGED = 65  # the ledger: starting again would not help

log = logs.get(__name__)


def run(settings: Settings, *, config_path: Path, notifier: Notifier = NOBODY) -> int:
    """Run the supervisor until it is told to stop; return the exit code."""
    faulthandler.enable()  # a watchdog that ends us learns where we were
    logs.configure(settings.logs.level, json=json_logs(settings))
    log.info("configuration read", config=str(config_path), state=str(settings.state))
    try:
        return loop.run(_serve(settings, notifier))
    except (FolderError, LedgerError, SocketError) as error:
        log.error("supervisor cannot start", why=str(error))  # noqa: TRY400 - a user's mistake
        return _exit_code(error)


async def _serve(settings: Settings, notifier: Notifier) -> int:
    clock = SystemClock()
    refuse_network(settings.state, "state:")
    folders.prepare("state", settings.state)
    folders.prepare("media.root", settings.media)
    log.info("supervisor starts", node=folders.node_id(settings.state), ledger=settings.ledger)
    notifier.status("opening the ledger")
    ledger = await Ledger.open(settings.ledger, clock=clock)
    try:
        queues = await Queues.open(ledger) if settings.broker == EMBEDDED else None
        async with House(settings, ledger, queues, clock, notifier) as house:
            await house.coordinator.run()
        log.info("supervisor stopped")
    finally:
        await ledger.close()
    return EXIT_FAILED if house.has_failed else EXIT_DONE


def _exit_code(error: Exception) -> int:
    trouble = error.trouble if isinstance(error, LedgerError) else None
    return EXIT_DAMAGED if trouble is not None and trouble.is_lasting else EXIT_FAILED
