"""The logbook: what the doors ask about logs, answered from the files of the state folder."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from consumers import logs
from consumers.clock import Clock
from supervisor.core.log_lines import SUPERVISOR, Positions, Sought, unknown_process, written
from supervisor.desks.logs import LogPage
from supervisor.log_files import Found, LogFiles
from supervisor.ports import NotNowError, UnknownWorkerError

log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class Logbook:
    """Implements ``desks.logs.Logs``."""

    files: LogFiles
    clock: Clock
    living: Callable[[], Iterable[str]]  # the workers there are
    is_kept: bool = True

    async def last(self, wanted: Sought, most: int) -> LogPage:
        """Return the last lines that are wanted."""
        return await self._page(wanted, lambda: self.files.last(wanted, most))

    async def since(self, positions: Positions, wanted: Sought) -> LogPage:
        """Return what is wanted of what came since."""
        return await self._page(wanted, lambda: self.files.since(positions, wanted))

    async def sweep(self) -> None:
        """Remove the files of workers that are gone."""
        try:
            gone = await asyncio.to_thread(self.files.sweep, self.living(), self.clock.utcnow())
        except OSError as error:
            log.warning("old logs stay", folder=str(self.files.folder), why=str(error))
        else:
            if gone:
                log.info("logs of workers that are gone removed", workers=gone)

    async def _page(self, wanted: Sought, look: Callable[[], Found]) -> LogPage:
        if not self.is_kept:
            message = "no logs are kept here: logs.keep is 0 in the configuration"
            raise NotNowError(message)
        try:
            return await asyncio.to_thread(self._found, wanted, look)
        except OSError as error:
            message = f"the logs in {self.files.folder} cannot be read: {error.strerror}"
            raise NotNowError(message) from error

    def _found(self, wanted: Sought, look: Callable[[], Found]) -> LogPage:
        known = dict.fromkeys([SUPERVISOR, *self.living(), *self.files.processes()])
        if why := unknown_process(wanted.names, tuple(known)):
            raise UnknownWorkerError(why)
        found = look()
        lines = tuple(line.said for line in found.lines)
        return LogPage(lines, written(found.positions), found.is_cut, found.has_gap)
