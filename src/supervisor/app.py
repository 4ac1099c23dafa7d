"""Running the supervisor: from its settings to its exit code."""

from pathlib import Path

from consumers import logs, loop
from consumers.clock import SystemClock
from supervisor import folders
from supervisor.api.socket import SocketError
from supervisor.config.settings import Settings
from supervisor.folders import FolderError
from supervisor.house import House, json_logs
from supervisor.ledger.errors import LedgerError
from supervisor.ledger.queues import Queues
from supervisor.ledger.store import Ledger
from workers.spec import EMBEDDED

EXIT_DONE = 0
EXIT_FAILED = 1

log = logs.get(__name__)


def run(settings: Settings, *, config_path: Path) -> int:
    """Run the supervisor until it is told to stop; return the exit code."""
    logs.configure(settings.logs.level, json=json_logs(settings))
    log.info("configuration read", config=str(config_path), state=str(settings.state))
    try:
        return loop.run(_serve(settings))
    except (FolderError, LedgerError, SocketError) as error:
        log.error("supervisor cannot start", why=str(error))  # noqa: TRY400 - a user's mistake
        return EXIT_FAILED


async def _serve(settings: Settings) -> int:
    clock = SystemClock()
    folders.prepare("state", settings.state)
    folders.prepare("media.root", settings.media)
    log.info("supervisor starts", node=folders.node_id(settings.state), ledger=settings.ledger)
    ledger = await Ledger.open(settings.ledger, clock=clock)
    try:
        queues = await Queues.open(ledger) if settings.broker == EMBEDDED else None
        async with House(settings, ledger, queues, clock) as house:
            await house.coordinator.run()
        log.info("supervisor stopped")
    finally:
        await ledger.close()
    return EXIT_FAILED if house.has_failed else EXIT_DONE
