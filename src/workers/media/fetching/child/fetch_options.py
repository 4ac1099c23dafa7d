"""The options that a request to the download child stands for, in yt-dlp's words.

Everything is said that bounds a download; what is left out has a default that does no harm.
"""

import io
import sys
from collections.abc import Callable
from typing import Any

from workers.media.fetching.child.bounds import Budget, Choice, Room
from workers.media.fetching.child.narration import Narrator
from workers.media.fetching.wire import FetchRequest, Moved

NAMES = "%(autonumber)03d-%(id).80B.%(ext)s"  # titles are hostile, ids are tame
SMALLEST, LARGEST = 1024, 65536  # bytes read at a time
PROCESSORS = (
    *("merger", "extractaudio", "fixupm3u8", "fixuptimestamp", "fixupduration", "fixupm4a"),
    *("fixupstretched", "fixupduplicatemoov", "videoremuxer", "copystream"),
)
RUNTIMES: dict[str, dict[str, str]] = {"deno": {}, "node": {}, "bun": {}, "quickjs": {}}


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


def options(request: FetchRequest, say: Callable[[Moved], None], spent: int = 0) -> dict[str, Any]:
    """Return the options a request stands for; ``spent`` are the bytes that are there already."""
    return {
        "quiet": True, "noprogress": True, "logger": Quiet(), "color": "never", "cachedir": False,
        "paths": {"home": request.folder, "temp": request.folder},
        "outtmpl": {"default": NAMES}, "restrictfilenames": True, "windowsfilenames": True,
        "continuedl": True, "overwrites": True, "updatetime": False, "nopart": False,
        "socket_timeout": 20, "retries": 3, "fragment_retries": 5, "extractor_retries": 2,
        "file_access_retries": 3, "buffersize": _block(request), "noresizebuffer": True,
        "skip_unavailable_fragments": False,  # the default succeeds with seconds missing
        "retry_sleep_functions": {"http": _backoff, "fragment": _backoff, "extractor": _backoff},
        "concurrent_fragment_downloads": 2,
        "noplaylist": True, "playlistend": request.max_items,
        "match_filter": Choice(request.max_duration), "enable_file_urls": False,
        "proxy": request.proxy, "ffmpeg_location": request.ffmpeg, "js_runtimes": RUNTIMES,
        "hls_prefer_native": True, "ignoreerrors": False,
        "progress_hooks": [
            *(Budget(request.max_size, spent), Room(request.folder), Narrator(say)),
        ],
        "postprocessor_args": _confined(request.formats),
        **_formats(request), **_subtitles(request), **_cookies(request),
    }  # fmt: skip


def _block(request: FetchRequest) -> int:
    """Return how much is read at a time: at the least rate, two must come within the patience."""
    enough = int(request.min_rate * request.patience / 2) or LARGEST
    return max(SMALLEST, min(enough, LARGEST))


def _formats(request: FetchRequest) -> dict[str, Any]:
    height = request.max_height
    chosen: dict[str, Any] = {"merge_output_format": "mp4", "format_sort": [f"res:{height}"]}
    if request.audio_only:
        extract = {"key": "FFmpegExtractAudio", "preferredcodec": "best"}
        return {"format": request.format or "ba/b", "postprocessors": [extract]}
    if request.format:
        return {**chosen, "format": request.format, "merge_output_format": "mp4/mkv"}
    top = f"[height<={height}]"
    return {"format": f"bv*{top}+ba/b{top}/b", "merge_output_format": "mp4"}


def _subtitles(request: FetchRequest) -> dict[str, Any]:
    if not request.subtitles:
        return {}
    return {
        "writesubtitles": True,
        "writeautomaticsub": True,
        "subtitleslangs": list(request.subtitles),
        "subtitlesformat": "vtt/srt/best",
    }


def _cookies(request: FetchRequest) -> dict[str, Any]:
    return {"cookiefile": io.StringIO(request.cookies)} if request.cookies else {}


def _confined(formats: str) -> dict[str, list[str]]:
    """Return what keeps ffmpeg from reading what a downloaded file names: playlists do."""
    bounds = ["-protocol_whitelist", "file,pipe"]
    bounds += ["-format_whitelist", formats] if formats else []
    return {f"{name}+ffmpeg_i": bounds for name in PROCESSORS}


def _backoff(n: int) -> float:
    return min(0.25 * 2.0**n, 5.0)
