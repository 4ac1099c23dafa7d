"""The download child: the one file that knows yt-dlp.

Run as ``python -m workers.media.fetching.child.fetch``: one JSON request on stdin, JSON lines on
stdout (``wire``). A process of its own, because a stuck download can only be ended by killing it.
It describes what failed; ``fetch_faults`` judges.
"""

import functools
import io
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import msgspec
import yt_dlp
from yt_dlp.downloader import PROTOCOL_MAP, DashSegmentsFD, HlsFD, HttpFD
from yt_dlp.networking import _urllib
from yt_dlp.postprocessor.ffmpeg import FFmpegPostProcessor
from yt_dlp.utils._utils import _UnsafeExtensionError

from workers.media import manners
from workers.media.fetching import cookies, finished
from workers.media.fetching.child import bounds, compressed, guard, harvest, segments
from workers.media.fetching.child.album import Album
from workers.media.fetching.child.bounds import Info, NotTakenError
from workers.media.fetching.child.causes import chain, describe, reason
from workers.media.fetching.child.fetch_options import options
from workers.media.fetching.child.throughput import Throughput
from workers.media.fetching.child.transfer import Transfers
from workers.media.fetching.finished import Finished, Note
from workers.media.fetching.wire import Broke, Cause, Done, FetchRequest, Missed, Said
from workers.media.manners import SiteOptions

# These connect in Python, where the guard sees it; curl does not. Requests does, but a download
# must not go another way because some other package has brought it along.
GUARDED = frozenset({"Urllib", "Websockets"})
# yt-dlp is untyped: what comes from it is Any.
Say = Callable[[Said], None]
_SEARCH = re.compile(r"[a-z]+search(date)?(all|\d+)?:", re.IGNORECASE)  # as in ytsearch5:words
OF_ONE_ENTRY = (yt_dlp.utils.YoutubeDLError, NotTakenError, guard.ForbiddenError)


class Fetcher(yt_dlp.YoutubeDL):  # type: ignore[misc] # untyped base: its only door for entries
    """A YoutubeDL that notes which entries of a list failed, and goes on with the others."""

    _num_downloads: int

    def __init__(self, options: dict[str, Any], transfers: Transfers, album: Album) -> None:
        # Nor may ffmpeg fetch streams: without it yt-dlp decrypts and joins them on its own.
        FFmpegPostProcessor._ffmpeg_location.set("/nonexistent")  # noqa: SLF001 - its only door
        super().__init__(options)
        self.transfers = transfers
        self.album = album
        self.missed: list[Missed] = []
        self.warnings: list[str] = []

    def build_request_director(self, handlers: Any, preferences: Any = None) -> Any:
        """Do what yt-dlp does, with those clients alone whose connections the guard sees."""
        seen = [handler for handler in handlers if handler.RH_KEY in GUARDED]
        return super().build_request_director(seen, preferences)

    def urlopen(self, req: Any) -> Any:
        """Do what yt-dlp does, for pages, files and segments alike, under ``transfer``'s rules."""
        request = yt_dlp.networking.Request(req) if isinstance(req, str) else req
        return self.transfers.open(request, super().urlopen)

    def dl(self, name: str, info: Any, *rest: Any, **how: Any) -> Any:
        """Do what yt-dlp does; what is read meanwhile is media."""
        self.transfers.is_transferring = True
        try:
            return super().dl(name, info, *rest, **how)
        finally:
            self.transfers.is_transferring = False

    def extract_info(self, url: str, *rest: Any, **how: Any) -> Any:
        """Do what yt-dlp does, with links alone: feeds may name searches as well."""
        if _SEARCH.match(url):
            message = f"{url[:80]!r} is a search, and no link"
            raise guard.ForeignSchemeError(message)
        return super().extract_info(url, *rest, **how)

    def process_ie_result(
        self,
        ie_result: Any,
        download: bool = True,  # noqa: FBT001, FBT002 - yt-dlp's signature
        extra_info: Info | None = None,
    ) -> Any:
        """Do what yt-dlp does; for an entry of a list, keep its failure instead of raising it."""
        extra = extra_info or {}
        do = functools.partial(super().process_ie_result, ie_result, download, extra_info)
        name = self.album.name(ie_result, extra)
        if not name:
            return do()
        if there := self.album.recall(name):
            return there
        try:
            entry = do()
        except OF_ONE_ENTRY as error:
            self.missed.append(Missed(int(extra["playlist_index"]), describe(error)))
            return None
        self.album.keep(name, entry, self.transfers)
        return entry

    def process_info(self, info_dict: Any) -> Any:
        """Do what yt-dlp does; files that are there already keep their numbers."""
        self._num_downloads = self.album.next_number(self._num_downloads) - 1
        return super().process_info(info_dict)

    def _write_subtitles(self, info_dict: Any, filename: str) -> Any:
        """Do what yt-dlp does; a video is worth having without some of its subtitles."""
        written: list[Any] = []
        for language, text in (info_dict.get("requested_subtitles") or {}).items():
            alone = {**info_dict, "requested_subtitles": {language: text}}
            try:
                written += super()._write_subtitles(alone, filename) or []
            except (*OF_ONE_ENTRY, _UnsafeExtensionError) as error:
                self.warnings.append(f"subtitles in {language!r}: {reason(error)}")
        return written


class CarefulHttpFD(HttpFD):  # type: ignore[misc] # untyped base: yt-dlp's plain transfer
    """yt-dlp's transfer of a file, which says meanwhile which file it is."""

    def real_download(self, filename: str, info_dict: Any) -> Any:
        """Do what yt-dlp does; the rest of a part is asked for with care (``transfer``)."""
        self.ydl.transfers.part = Path(self.temp_name(filename))
        try:
            return super().real_download(filename, info_dict)
        finally:
            self.ydl.transfers.part = None


class CarefulHlsFD(HlsFD):  # type: ignore[misc] # untyped base: yt-dlp's HLS
    """yt-dlp's transfer of an HLS stream, which looks at each segment once it is decrypted."""

    def _append_fragment(self, ctx: Any, frag_content: bytes) -> None:
        _look(ctx, frag_content)
        super()._append_fragment(ctx, frag_content)


class CarefulDashFD(DashSegmentsFD):  # type: ignore[misc] # untyped base: yt-dlp's DASH
    """yt-dlp's transfer of a DASH stream, which looks at each segment."""

    def _append_fragment(self, ctx: Any, frag_content: bytes) -> None:
        _look(ctx, frag_content)
        super()._append_fragment(ctx, frag_content)


def _look(ctx: Any, segment: bytes) -> None:
    ctx["format"] = segments.look(segment, ctx.get("format"))


PROTOCOL_MAP.update(
    http=CarefulHttpFD,
    https=CarefulHttpFD,
    m3u8_native=CarefulHlsFD,
    http_dash_segments=CarefulDashFD,
    http_dash_segments_generator=CarefulDashFD,
)
# yt-dlp's own way to unpack an answer is all at once, whatever that takes.
_urllib.HTTPHandler.http_response = _urllib.HTTPHandler.https_response = compressed.unpacked


def fetch(request: FetchRequest, say: Say, throughput: Throughput) -> Done:
    """Download everything behind the link and return what arrived."""
    try:
        return _fetch(request, say, throughput)
    except yt_dlp.utils.YoutubeDLError as error:
        # Whoever was killed between the last byte and the renaming leaves a whole file under its
        # unfinished name. yt-dlp would ask for the rest of it for ever: sites have none to send.
        if not (_has_no_rest(error) and _forget_parts(Path(request.folder))):
            raise
    return _fetch(request, say, throughput)


def _fetch(request: FetchRequest, say: Say, throughput: Throughput) -> Done:
    folder = Path(request.folder)
    there = finished.read(folder)
    album = Album(request, _noting(folder, cookies.secrets(request.cookies)), there)
    chosen = options(request, say, finished.weight(there))
    with Fetcher(chosen, Transfers(throughput), album) as fetcher:
        info = _found(fetcher, request.link)
        return Done(
            files=tuple(harvest.fetched(info, fetcher.transfers)),
            missed=(*fetcher.missed, *harvest.absent(info)),
            title=harvest.title(info),
            site=str(info.get("extractor_key") or ""),
            warnings=tuple(fetcher.warnings),
            is_list=harvest.is_list(info),
        )


def _found(fetcher: Fetcher, link: str) -> Info:
    """Download what is behind a link; where no film is found, there may be a reason for that."""
    try:
        return fetcher.extract_info(link, download=True) or {}
    except yt_dlp.utils.YoutubeDLError as error:
        reason_of_the_site = fetcher.transfers.wall or fetcher.transfers.trouble
        if reason_of_the_site is None or not any(map(_lacks_a_film, chain(error))):
            raise
    raise reason_of_the_site


def _lacks_a_film(error: BaseException) -> bool:
    is_unsupported = isinstance(error, yt_dlp.utils.UnsupportedError)
    return is_unsupported or "No video formats found" in str(error)


def main() -> int:
    """Serve one request."""
    signal.signal(signal.SIGTERM, _leave)
    stream = _private_stdout()
    say = _teller(stream, frozenset())
    try:
        request = msgspec.json.decode(sys.stdin.buffer.read(), type=FetchRequest)
        say = _teller(stream, cookies.secrets(request.cookies))
        bounds.confine(request.max_size)
        guard.install(_rules(request))
        throughput = Throughput(request.min_rate, request.patience)
        throughput.watch(functools.partial(_give_up, say))
        say(fetch(request, say, throughput))
    except Exception as error:  # noqa: BLE001 - the top of a process: the worker judges it
        say(Broke(describe(error)))
        return 1
    return 0


def _rules(request: FetchRequest) -> guard.Rules:
    began, named = time.monotonic(), dict.fromkeys(request.sites, SiteOptions())

    def rest(host: str) -> float:
        name, _ = manners.of_host(host, named)
        return request.closed.get(name, 0.0) - (time.monotonic() - began)

    return guard.rules(allow=request.allow, proxy=request.proxy, ffmpeg=request.ffmpeg, rest=rest)


def _private_stdout() -> io.RawIOBase:
    """Keep stdout for the worker; whatever else prints, prints to stderr."""
    stream = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    return stream


def _teller(stream: io.RawIOBase, secrets: frozenset[str]) -> Say:
    """Return what writes one line."""
    one_at_a_time = threading.Lock()

    def say(said: Said) -> None:
        line = _line(said, secrets)
        with one_at_a_time:
            stream.write(line + b"\n")

    return say


def _noting(folder: Path, secrets: frozenset[str]) -> Note:
    """Return what notes that an entry is there."""

    def note(one: Finished) -> None:
        with (folder / finished.NOTE).open("ab") as notes:
            notes.write(b"\n" + _line(one, secrets) + b"\n")  # the last line may be a half one

    return note


def _line(said: Said | Finished, secrets: frozenset[str]) -> bytes:
    """Return what is said on one line; a site may repeat a cookie in its title, we do not."""
    encode = msgspec.json.Encoder().encode
    line = encode(said)
    for secret in secrets:
        line = line.replace(encode(secret)[1:-1], b"...")
    return line


def _give_up(say: Say, why: str) -> NoReturn:
    """End the process from the thread that watches: the others wait for bytes, for ever."""
    say(Broke((Cause("TooSlowError", f"the site is too slow: {why}"),)))
    os._exit(1)


def _leave(_signal: int, _frame: object) -> NoReturn:
    """Leave by an exception: on its way out yt-dlp kills the ffmpeg it started."""
    sys.exit(143)


def _has_no_rest(error: BaseException) -> bool:
    """Answer whether a site refused the rest of a file, or sent an empty one."""
    return any(
        getattr(one, "status", None) == 416 or "Did not get any data blocks" in str(one)
        for one in chain(error)
    )


def _forget_parts(folder: Path) -> bool:
    """Remove unfinished files; return whether there were any."""
    parts = list(folder.glob("*.part"))
    for part in parts:
        part.unlink()
    return bool(parts)


if __name__ == "__main__":
    sys.exit(main())
