"""The tokens that open the HTTP API, read again when their file changes."""

import asyncio
from pathlib import Path

from consumers import logs
from consumers.clock import Clock
from supervisor.config.mistakes import ConfigError
from supervisor.config.tokens import read_tokens, secret_key
from supervisor.core.callers import Caller, Key, Role, caller_of

LOOK_EVERY = 2.0  # seconds
WORKER_SECRET = "worker-secret"  # noqa: S105 - the name its calls go by

log = logs.get(__name__)

Stamp = tuple[int, int, int]


class Keyring:
    """Whom each token lets in. A file that cannot be read changes nothing, and is told of."""

    def __init__(self, file: Path, secret: str | None = None) -> None:
        self._file = file
        self._secret = secret
        self._own = () if secret is None else (secret_key(WORKER_SECRET, secret, Role.RUN),)
        self._seen: Stamp | None = None
        self._keys: tuple[Key, ...] = ()

    def open(self) -> None:
        """Read the file for the first time.

        Raises:
            ConfigError: naming its mistakes.
        """
        self._seen = self._stamp()
        self._keys = read_tokens(self._file, self._secret)

    def look_up(self, token: str) -> Caller | None:
        """Return whom a token lets in."""
        return caller_of(token, (*self._keys, *self._own))

    async def watch(self, clock: Clock) -> None:
        """Read the file again whenever it has changed, until cancelled."""
        while True:
            await clock.sleep(LOOK_EVERY)
            if await asyncio.to_thread(self._stamp) != self._seen:
                await self.reload()

    async def reload(self) -> None:
        """Read the file again; what it says holds from the next request on."""
        try:
            self._seen = await asyncio.to_thread(self._stamp)
            self._keys = await asyncio.to_thread(read_tokens, self._file, self._secret)
        except ConfigError as error:
            log.error("tokens stay as they were", why=str(error))  # noqa: TRY400 - a user's mistake
        else:
            names = [key.caller.name for key in self._keys]
            log.info("tokens read again", file=str(self._file), names=names)

    def _stamp(self) -> Stamp | None:
        try:
            found = self._file.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_mode
