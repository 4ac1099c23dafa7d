"""What goes wrong with media, sorted: a code, whether trying again can help, and what to do.

Pure. The adapters hand in what a tool said; the answer is the error a processor raises.
"""

import errno
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from consumers.errors import RefusedError, TransientError, WorkError


@dataclass(frozen=True, slots=True)
class Rule:
    """What a code means for the job."""

    permanent: bool
    hint: str = ""
    after: float | None = None  # seconds to wait, where the pool's backoff would be too eager


INSTALL_FFMPEG = "apt-get install ffmpeg, or pip install 'rabbit-supervisor[ffmpeg]'"
MINUTE, HOUR = 60.0, 3600.0

RULES: Mapping[str, Rule] = {
    "bad_link": Rule(permanent=True, hint="send an http or https link to a page or file"),
    "bad_option": Rule(permanent=True, hint="correct the publisher"),
    "unsupported": Rule(permanent=True, hint="no video was recognised behind this link"),
    "not_found": Rule(permanent=True, hint="check that it still exists"),
    "auth": Rule(permanent=True, hint="the site wants a login; it is not public"),
    "geo": Rule(permanent=True, hint="not offered in this country; a proxy elsewhere may help"),
    "live": Rule(permanent=True, hint="send the link again when the broadcast is over"),
    "too_large": Rule(permanent=True),
    "too_many_pieces": Rule(permanent=True, hint="choose a longer segmentTime"),
    "not_media": Rule(permanent=True, hint="the file is not a video or sound we can read"),
    "not_regular": Rule(permanent=True, hint="name a file, not a folder or a device"),
    "no_streams": Rule(permanent=True, hint="the file has neither picture nor sound"),
    "no_video": Rule(permanent=True, hint="the file has sound only"),
    "truncated": Rule(permanent=True, hint="the source is incomplete: fetch it again"),
    "cancelled": Rule(permanent=True),
    "bad_certificate": Rule(permanent=True, hint="the site's TLS certificate is not valid"),
    "bad_options": Rule(permanent=False, hint="correct the pool's options in the configuration"),
    "network": Rule(permanent=False),
    "incomplete": Rule(permanent=False),
    "rate_limited": Rule(permanent=False, hint="the site asks us to slow down", after=MINUTE),
    "extractor_broken": Rule(
        permanent=False, hint="the site may have changed: update yt-dlp", after=HOUR
    ),
    "download_failed": Rule(permanent=False),
    "timeout": Rule(permanent=False, hint="raise the pool's timeout if this is usual"),
    "busy": Rule(permanent=False, after=10.0),
    "disk_full": Rule(permanent=False, hint="free space below the media root", after=MINUTE),
    "media_unwritable": Rule(
        permanent=False, hint="check media.root in the configuration, its owner and its mount"
    ),
    "ffmpeg_missing": Rule(permanent=False, hint=INSTALL_FFMPEG, after=MINUTE),
    "ffmpeg_killed": Rule(permanent=False, hint="out of memory, or killed by a person"),
    "ffmpeg_failed": Rule(permanent=False),
}

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
# What says something about the media folder; other OSErrors are our own mistakes.
STORAGE = (
    FULL
    | {errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO, errno.ESTALE}
    | {errno.ENOTDIR, errno.EEXIST, errno.ELOOP, errno.ENAMETOOLONG}
)

# What ffmpeg and ffprobe say on stderr; the first that occurs decides.
_SAID_BY_FFMPEG = (
    ("no space left on device", "disk_full"),
    ("disk quota exceeded", "disk_full"),
    ("unknown encoder", "ffmpeg_missing"),
    ("no such filter", "ffmpeg_missing"),
    ("format not on whitelist", "not_media"),
    ("moov atom not found", "not_media"),
    ("invalid data found", "not_media"),
    ("does not contain any stream", "not_media"),
    ("protocol not found", "not_media"),
    ("not on whitelist", "not_media"),
    ("no such file", "not_found"),
)

_PATHS = re.compile(r"file:/\S+: ")


def fault(code: str, message: str, *, after: float | None = None) -> WorkError:
    """Return the error that stands for ``code``, to be raised by the caller."""
    rule = RULES[code]
    if rule.permanent:
        return RefusedError(message, code=code, hint=rule.hint)
    return TransientError(message, code=code, hint=rule.hint, after=after or rule.after)


def from_os_error(error: OSError, doing: str) -> WorkError:
    """Return what an ``OSError`` below the media root means, said after what was being done."""
    code = "disk_full" if error.errno in FULL else "media_unwritable"
    return fault(code, f"{doing}: {error.strerror or error} ({error.filename or 'no file named'})")


def from_ffmpeg(doing: str, returncode: int, complaint: str) -> WorkError:
    """Return what a failed run of ffmpeg or ffprobe means.

    Args:
        doing: the work in words, which begins the message.
        returncode: negative when a signal ended it.
        complaint: the end of what it wrote on stderr.
    """
    code = "ffmpeg_killed" if returncode < 0 else _first(_SAID_BY_FFMPEG, complaint)
    reason = _PATHS.sub("", last_line(complaint)) or f"exit code {returncode}"
    return fault(code or "ffmpeg_failed", f"{doing}: {reason}")


def last_line(complaint: str) -> str:
    """Return the last line that says something: tools give their reason at the end."""
    lines = [line.strip() for line in complaint.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _first(table: Iterable[tuple[str, str]], text: str) -> str:
    text = text.lower()
    return next((code for part, code in table if part in text), "")
