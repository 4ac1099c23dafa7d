"""The hooks as the coordinator sees them: a process that is told what happens, and may do no harm.

Events wait in a tray of bounded size. A hook that takes too long is ended with its process, and
the next event finds a new one; the event itself is not told again. Everything that goes wrong is
counted, and said with the hook's name.
"""

import asyncio
import contextlib
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence

import msgspec

from consumers import logs
from consumers.clock import Clock
from supervisor.bulletin import Bulletin, Tray
from supervisor.desks.events import Told, Wanted
from supervisor.hooks.words import Calling, Failed, FromHooks, Handled, Ready, Unusable
from workers.descendants import kill_family

COMMAND = (sys.executable, "-m", "supervisor.hooks.child")
BACKLOG = 5000  # events that wait for hooks
START = 60.0  # seconds to load them; a module may import much
AGAIN, LONGEST = 1.0, 60.0  # seconds before the process is started again, doubling
FAREWELL = 3.0  # seconds for it to end by itself
_WORDS: msgspec.json.Decoder[FromHooks] = msgspec.json.Decoder(FromHooks)
_SAID = 10  # faults that are said one by one; of more, each hundredth

log = logs.get(__name__)


class HookError(Exception):
    """The process of the hooks cannot go on; the message says why, ``hook`` which one it was."""

    def __init__(self, why: str, hook: str = "") -> None:
        super().__init__(why)
        self.hook = hook


class Hooks:
    """Tells one process of hooks what happens."""

    def __init__(
        self, names: Sequence[str], bulletin: Bulletin, clock: Clock, *, limit: float
    ) -> None:
        self._names = names
        self._bulletin = bulletin
        self._clock = clock
        self._limit = limit
        self._process: Process | None = None
        self._starts = 0  # in vain, in a row
        self._tray: Tray = bulletin.listen(backlog=BACKLOG)  # all, until they say what they want
        self._is_over = asyncio.Event()
        self.called = 0
        self.failed = 0
        self.missed = 0

    async def run(self) -> None:
        """Tell the hooks what happens, until there is no more."""
        try:
            await self._start()
            while (news := await self._tray.take()) is not None:
                if news.missed:
                    self.missed += news.missed
                    log.warning("hooks are too slow, events lost", count=news.missed)
                for told in news.told:
                    await self._tell(told)
        finally:
            await self._end(politely=True)
            self._is_over.set()

    async def close(self) -> None:
        """Let the hooks hear what is left."""
        self._bulletin.hand_out()
        self._tray.close()
        if self._process is not None:
            await self._is_over.wait()

    # --- one event --------------------------------------------------------------------------

    async def _tell(self, told: Told) -> None:
        if self._process is None:
            await self._start()
        process = self._process
        if process is None:
            return
        try:
            await self._handle(process, told.body)
        except HookError as error:
            self._fault(error.hook, str(error), told)
            await self._end()

    async def _handle(self, process: Process, body: bytes) -> None:
        """Have every hook called that wants an event; each has its own time.

        Raises:
            HookError: one took too long, or ended the process.
        """
        if process.stdin is not None:
            process.stdin.write(body + b"\n")
        hook = ""
        while True:
            match await self._hear(process, hook, within=self._limit):
                case Calling(hook=hook):
                    self.called += 1
                case Failed(hook=hook, why=why):
                    self._fault(hook, why)
                case Handled():
                    return
                case odd:
                    message = f"said {type(odd).__name__} out of turn"
                    raise HookError(message, hook)

    async def _hear(self, process: Process, hook: str, *, within: float) -> FromHooks:
        line = b""
        try:
            async with asyncio.timeout(within):
                if process.stdout is not None:
                    line = await process.stdout.readline()
        except TimeoutError as error:
            message = f"took longer than {within:g} s (hook_timeout), its process was ended"
            raise HookError(message, hook) from error
        except ValueError as error:  # of the stream
            raise HookError("said more than fits in a line", hook) from error
        if not line:
            message = "ended the process of the hooks; the next event starts a new one"
            raise HookError(message, hook)
        try:
            return _WORDS.decode(line)
        except msgspec.DecodeError as error:
            raise HookError("wrote where only we may", hook) from error

    def _fault(self, hook: str, why: str, told: Told | None = None) -> None:
        self.failed += 1
        if self.failed <= _SAID or self.failed % 100 == 0:
            about = {} if told is None else {"event_name": told.name, "job": told.job}
            log.error("hook failed", hook=hook or self._names, why=why, so_far=self.failed, **about)

    # --- its process ------------------------------------------------------------------------

    async def _start(self) -> None:
        """Start the process; if it cannot be, wait longer each time before it is tried again."""
        try:
            self._process = await asyncio.create_subprocess_exec(
                *COMMAND, *self._names, stdin=PIPE, stdout=PIPE
            )
            await self._greet(self._process)
        except (HookError, OSError) as error:
            await self._end()
            self._starts += 1
            delay = min(AGAIN * 2 ** (self._starts - 1), LONGEST)
            log.error(  # noqa: TRY400 - a user's mistake, and where it is was said
                "hooks cannot be called", why=str(error), next_try=f"{delay:.0f} s"
            )
            await self._clock.sleep(delay)
        else:
            self._starts = 0

    async def _greet(self, process: Process) -> None:
        match await self._hear(process, "", within=START):
            case Ready(names=names):
                self._tray.choose(Wanted(names=frozenset(names)))
            case Unusable(name=name, why=why):
                message = f"{name}: {why}"
                raise HookError(message)
            case odd:
                message = f"said {type(odd).__name__} first"
                raise HookError(message)

    async def _end(self, *, politely: bool = False) -> None:
        """End the process with all that it started; politely, if it has nothing to do."""
        process, self._process = self._process, None
        if process is None or process.stdin is None:
            return
        process.stdin.close()
        if politely:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), FAREWELL)
        if process.returncode is None:
            await asyncio.to_thread(kill_family, process.pid)
            await process.wait()
