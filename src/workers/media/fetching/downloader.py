"""The worker's side of a download: it starts the child, listens, and sorts what went wrong."""

import os
import sys
from pathlib import Path

import msgspec

import workers
from workers.media.faults import fault, from_limits, last_line
from workers.media.fetching.fetch_faults import judge
from workers.media.fetching.wire import Broke, Done, FetchRequest, Moved, Said
from workers.media.tools import tool
from workers.processor import JobContext

REACH = 95.0  # per cent that the transfer makes up; looking at the files is the rest

# The child sees nothing else of the worker's environment: broker passwords live there.
KEPT = frozenset(
    {"PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "LD_LIBRARY_PATH"}
    | {"SSL_CERT_FILE", "SSL_CERT_DIR"}
)


class _Listener:
    """Takes the child's lines as they come."""

    def __init__(self, context: JobContext) -> None:
        self._context = context
        self._decode = msgspec.json.Decoder(Said).decode
        self.answer: Done | Broke | None = None

    def __call__(self, line: str) -> None:
        try:
            said = self._decode(line)
        except msgspec.DecodeError:  # the last half line of a child that was killed
            return
        if isinstance(said, Moved):
            self._context.progress(said.percent * REACH / 100, said.note)
        else:
            self.answer = said


async def fetch(request: FetchRequest, context: JobContext) -> Done:
    """Download what is behind a link into the request's folder.

    What an earlier attempt left there is resumed; see ``origin`` for what of it may stay.

    Raises:
        WorkError: sorted; see ``fetch_faults``.
    """
    listener = _Listener(context)
    call = tool.Call(
        command=(sys.executable, "-P", "-m", "workers.media.fetching.child.fetch"),
        name="the download",
        folder=Path(request.folder),
        stdin=msgspec.json.encode(request),
        env=_environment() | {"DENO_DIR": str(Path(request.folder) / ".deno")},
        visits=True,
    )
    finished = await tool.run(call, context, listener)
    match listener.answer:
        case Done() as done:
            return done
        case Broke(causes):
            raise judge(causes)
        case None:
            if of_limits := from_limits("the download was ended", finished.code):
                raise of_limits
            reason = last_line(finished.complaint) or "without a word"
            raise fault("download_failed", f"the download ended ({finished.code}): {reason}")


def _environment() -> dict[str, str]:
    home = Path(workers.__path__[0]).parent
    kept = {key: value for key, value in os.environ.items() if key in KEPT}
    return {**kept, "PYTHONPATH": str(home), "YTDLP_NO_PLUGINS": "1", "PYTHONUTF8": "1"}
