"""The download child: ``python -m workers.media.fetch``; the one file that knows yt-dlp.

One JSON request on stdin, JSON lines on stdout (``wire``). A process of its own, because a
stuck download can only be ended by killing it. It describes what failed; ``fetch_faults`` judges.
"""

import functools
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

import msgspec
import yt_dlp

from workers.media.wire import Broke, Cause, Done, Fetched, FetchRequest, Missed, Moved, Said

NAMES = "%(autonumber)03d-%(id).80B.%(ext)s"  # titles are hostile, ids are tame
EVERY = 0.5  # seconds between two words about progress

# yt-dlp is untyped and its information dictionaries are open-ended.
Info = Mapping[str, Any]
Say = Callable[[Said], None]


class LiveError(Exception):
    """A broadcast that is running or announced: it has no end to wait for."""

    def __init__(self, title: object) -> None:
        super().__init__(f"{title} is a live broadcast")


class Fetcher(yt_dlp.YoutubeDL):  # type: ignore[misc] # untyped base: its only door for entries
    """A YoutubeDL that notes which entries of a list failed, and goes on with the others."""

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__(options)
        self.missed: list[Missed] = []

    def process_ie_result(
        self,
        ie_result: Any,
        download: bool = True,  # noqa: FBT001, FBT002 - yt-dlp's signature
        extra_info: Info | None = None,
    ) -> Any:
        """Do what yt-dlp does; for an entry of a list, keep its failure instead of raising it."""
        index = (extra_info or {}).get("playlist_index")
        do = functools.partial(super().process_ie_result, ie_result, download, extra_info)
        if not index:
            return do()
        try:
            return do()
        except (yt_dlp.utils.YoutubeDLError, LiveError) as error:
            self.missed.append(Missed(int(index), describe(error)))
            return None


class Narrator:
    """Says how far a download is, twice a second at most and never backwards."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._said_at = 0.0
        self._percent = 0.0

    def __call__(self, state: Info) -> None:
        """Take the state yt-dlp gives its hooks."""
        if time.monotonic() - self._said_at < EVERY and state.get("status") != "finished":
            return
        self._said_at = time.monotonic()
        self._percent = max(self._percent, percent(state))
        self._say(Moved(round(self._percent, 1), _amount(state)))


class Quiet:
    """yt-dlp's log: what matters goes to stderr, of which the worker keeps the end."""

    def debug(self, message: str) -> None:
        """Drop it."""

    def info(self, message: str) -> None:
        """Drop it."""

    def warning(self, message: str) -> None:
        """Keep it."""
        sys.stderr.write(f"{message}\n")

    error = warning


def options(request: FetchRequest, say: Say) -> dict[str, Any]:
    """Return the options a request stands for."""
    return {
        "quiet": True, "noprogress": True, "logger": Quiet(), "color": "never", "cachedir": False,
        "paths": {"home": request.folder, "temp": request.folder},
        "outtmpl": {"default": NAMES}, "restrictfilenames": True, "windowsfilenames": True,
        "continuedl": True, "overwrites": True, "updatetime": False, "nopart": False,
        "socket_timeout": 20, "retries": 3, "fragment_retries": 5, "extractor_retries": 2,
        "file_access_retries": 3,
        "skip_unavailable_fragments": False,  # the default succeeds with seconds missing
        "retry_sleep_functions": {"http": _backoff, "fragment": _backoff, "extractor": _backoff},
        "concurrent_fragment_downloads": 2,
        "noplaylist": True, "playlistend": request.max_items,
        "match_filter": refuse_live, "enable_file_urls": False,
        "proxy": request.proxy, "ffmpeg_location": request.ffmpeg,
        "hls_prefer_native": True, "ignoreerrors": False,
        "progress_hooks": [Narrator(say)],
        **_formats(request),
    }  # fmt: skip


def refuse_live(info: Info, **_how: object) -> None:
    """Refuse what never ends; it would be recorded until the deadline."""
    if info.get("is_live") or info.get("live_status") in {"is_live", "is_upcoming"}:
        raise LiveError(info.get("title") or info.get("id"))


def percent(state: Info) -> float:
    """Return how far the whole link is, where entries of a list count the same."""
    info: Info = state.get("info_dict") or {}
    count = int(info.get("n_entries") or 1)
    place = min(int(info.get("playlist_autonumber") or 1), count)
    return 100.0 * (place - 1 + _fraction(state)) / count


def describe(error: BaseException) -> tuple[Cause, ...]:
    """Return the chain of causes, outermost first."""
    return tuple(_cause(one) for one in _chain(error))


def fetch(request: FetchRequest, say: Say) -> Done:
    """Download everything behind the link and return what arrived."""
    try:
        return _fetch(request, say)
    except yt_dlp.utils.YoutubeDLError as error:
        # Whoever was killed between the last byte and the renaming leaves a whole file under its
        # unfinished name. yt-dlp would ask for the rest of it for ever: sites have none to send.
        if not (_has_no_rest(error) and _forget_parts(Path(request.folder))):
            raise
    return _fetch(request, say)


def _fetch(request: FetchRequest, say: Say) -> Done:
    with Fetcher(options(request, say)) as fetcher:
        info: Info = fetcher.extract_info(request.link, download=True) or {}
        files = tuple(_fetched(info))
        title, site = str(info.get("title") or ""), str(info.get("extractor_key") or "")
        return Done(files=files, missed=tuple(fetcher.missed), title=title, site=site)


def main() -> int:
    """Serve one request."""
    signal.signal(signal.SIGTERM, _leave)
    say = _private_stdout()
    try:
        request = msgspec.json.decode(sys.stdin.buffer.read(), type=FetchRequest)
        say(fetch(request, say))
    except Exception as error:  # noqa: BLE001 - the top of a process: the worker judges it
        say(Broke(describe(error)))
        return 1
    return 0


def _private_stdout() -> Say:
    """Keep stdout for the worker; whatever else prints, prints to stderr."""
    stream = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    encode = msgspec.json.Encoder().encode

    def say(said: Said) -> None:
        stream.write(encode(said) + b"\n")

    return say


def _leave(_signal: int, _frame: object) -> NoReturn:
    """Leave by an exception: on its way out yt-dlp kills the ffmpeg it started."""
    sys.exit(143)


def _formats(request: FetchRequest) -> dict[str, Any]:
    if request.audio_only:
        extract = {"key": "FFmpegExtractAudio", "preferredcodec": "best"}
        return {"format": "ba/b", "postprocessors": [extract]}
    top = f"[height<={request.max_height}]"
    return {"format": f"bv*{top}+ba/b{top}/b", "merge_output_format": "mp4"}


def _backoff(n: int) -> float:
    return min(0.25 * 2.0**n, 5.0)


def _fraction(state: Info) -> float:
    if state.get("status") == "finished":
        return 1.0
    total = state.get("total_bytes") or state.get("total_bytes_estimate") or 0
    if total:
        return min(1.0, float(state.get("downloaded_bytes") or 0) / float(total))
    pieces = state.get("fragment_count") or 0
    return min(1.0, float(state.get("fragment_index") or 0) / float(pieces)) if pieces else 0.0


def _amount(state: Info) -> str:
    done = float(state.get("downloaded_bytes") or 0) / 1e6
    total = float(state.get("total_bytes") or state.get("total_bytes_estimate") or 0) / 1e6
    return f"{done:.1f} of {total:.1f} MB" if total else f"{done:.1f} MB"


def _has_no_rest(error: BaseException) -> bool:
    """Answer whether a site refused the rest of a file, or sent an empty one."""
    return any(
        getattr(one, "status", None) == 416 or "Did not get any data blocks" in str(one)
        for one in _chain(error)
    )


def _forget_parts(folder: Path) -> bool:
    """Remove unfinished files; return whether there were any."""
    parts = list(folder.glob("*.part"))
    for part in parts:
        part.unlink()
    return bool(parts)


def _fetched(info: Info) -> Iterator[Fetched]:
    for entry in info.get("entries") or ():
        if entry:
            yield from _fetched(entry)
    for download in info.get("requested_downloads") or ():
        if "filepath" in download:  # absent where yt-dlp skipped or failed without raising
            yield Fetched(
                path=str(download["filepath"]),
                index=int(info.get("playlist_index") or 1),
                title=str(info.get("title") or ""),
                duration=info.get("duration"),
            )


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = _inner(current)


def _inner(error: BaseException) -> BaseException | None:
    held = getattr(error, "exc_info", None) or (None, None)
    candidates = (held[1], getattr(error, "cause", None), error.__cause__, error.__context__)
    return next((one for one in candidates if isinstance(one, BaseException)), None)


def _cause(error: BaseException) -> Cause:
    status = getattr(error, "status", None)
    number = getattr(error, "errno", None)
    return Cause(
        kind=type(error).__name__,
        text=str(getattr(error, "msg", None) or error),
        status=status if isinstance(status, int) else None,
        errno=number if isinstance(number, int) else None,
        expected=bool(getattr(error, "expected", False)),
        retry_after=_retry_after(error),
    )


def _retry_after(error: BaseException) -> float | None:
    # yt-dlp's error has the response, urllib's below it is one; requests has no such second error.
    answer = getattr(error, "response", None) or error
    headers = getattr(answer, "headers", None) or {}
    value = str(headers.get("Retry-After", ""))
    return float(value) if value.isascii() and value.isdigit() else None


if __name__ == "__main__":
    sys.exit(main())
