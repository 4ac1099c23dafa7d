"""What goes wrong with media, sorted: a code, whose fault it is, and what to do.

Pure. The adapters hand in what a tool said; the answer is the error a processor raises.
"""

import errno
import itertools
import operator
import os
import re
import signal
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from consumers.errors import HostError, RefusedError, TransientError, WorkError
from workers.hours import HOUR, MINUTE


@dataclass(frozen=True, slots=True)
class Rule:
    """What a code means for the job: never again, later, or that it is not to blame at all."""

    permanent: bool
    hint: str = ""
    after: float | None = None  # seconds to wait, where the pool's backoff would be too eager
    of_host: bool = False


INSTALL_FFMPEG = "apt-get install ffmpeg, or pip install 'rabbit-supervisor[ffmpeg]'"

RULES: Mapping[str, Rule] = {
    "bad_link": Rule(permanent=True, hint="send an http or https link to a page or file"),
    "bad_option": Rule(permanent=True, hint="correct the message: the field that is named"),
    "blocked_address": Rule(
        permanent=True,
        hint="only public addresses are fetched; options.allow of the pool permits others",
    ),
    "unsupported": Rule(permanent=True, hint="no video was recognised behind this link"),
    "not_found": Rule(permanent=True, hint="check that it still exists"),
    "outside_root": Rule(
        permanent=True,
        hint="name a file below the media folder; options.roots of the pool allows other folders",
    ),
    "auth": Rule(permanent=True, hint="the site wants a login; it is not public"),
    "geo": Rule(permanent=True, hint="not offered in this country; a proxy elsewhere may help"),
    "live": Rule(permanent=True, hint="send the link again when the broadcast is over"),
    "too_large": Rule(permanent=True, hint="raise the pool's max_size if it shall be taken"),
    "too_long": Rule(permanent=True, hint="raise the pool's max_duration if it shall be taken"),
    "too_big_picture": Rule(permanent=True, hint="send it in a smaller size"),
    "too_many_streams": Rule(permanent=True, hint="send a file with fewer streams"),
    "does_not_fit": Rule(permanent=True, hint="give the media folder a larger disk"),
    "too_many_pieces": Rule(permanent=True, hint="choose a longer segmentTime"),
    "limits_unkept": Rule(permanent=True, hint="choose a longer segmentTime or a larger maxSize"),
    "not_media": Rule(permanent=True, hint="the file is not a video or sound we can read"),
    "not_regular": Rule(permanent=True, hint="name a file, not a folder or a device"),
    "no_streams": Rule(permanent=True, hint="the file has neither picture nor sound"),
    "no_video": Rule(permanent=True, hint="the file has sound only"),
    "damaged": Rule(permanent=True, hint="the source is broken: fetch it again"),
    "truncated": Rule(permanent=True, hint="the source is incomplete: fetch it again"),
    "cancelled": Rule(permanent=True),
    "bad_certificate": Rule(permanent=True, hint="the site's TLS certificate is not valid"),
    "bad_options": Rule(
        permanent=False, hint="correct the pool's options in the configuration", of_host=True
    ),
    "network": Rule(permanent=False, hint="the site cannot be reached, breaks off or is too slow"),
    "incomplete": Rule(permanent=False, hint="the site did not send all of it"),
    "rate_limited": Rule(
        permanent=False,
        hint="the site asks us to slow down, and is left alone for a while; cookies may help",
    ),
    "extractor_broken": Rule(
        permanent=False, hint="the site may have changed: update yt-dlp", after=HOUR
    ),
    "download_failed": Rule(permanent=False, hint="update yt-dlp if this happens often"),
    "timeout": Rule(permanent=False, hint="raise the pool's timeout if this is usual"),
    "busy": Rule(permanent=False, after=10.0),
    "disk_full": Rule(permanent=False, hint="free space below the media root", of_host=True),
    "media_unwritable": Rule(
        permanent=False,
        hint="check media.root in the configuration, its owner and its mount",
        of_host=True,
    ),
    "exhausted": Rule(
        permanent=False, hint="the system is short of memory, processes or files", of_host=True
    ),
    "ffmpeg_missing": Rule(permanent=False, hint=INSTALL_FFMPEG, of_host=True),
    "ffmpeg_unfit": Rule(permanent=False, hint=INSTALL_FFMPEG, after=MINUTE),
    "ffmpeg_killed": Rule(permanent=False, hint="out of memory, or killed by a person"),
    "ffmpeg_failed": Rule(permanent=False),
}

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN})
# What says something about the media folder; other OSErrors are our own mistakes.
STORAGE = (
    FULL
    | {errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO, errno.ESTALE}
    | {errno.ENOTDIR, errno.EEXIST, errno.ELOOP, errno.ENAMETOOLONG}
    | EXHAUSTED
)

# How lines of whoever writes a file end. A job's own file was read by us before any tool got it,
# so what is denied then is the way out.
_SAID_OF_ROOM = (("no space left on device", "disk_full"), ("disk quota exceeded", "disk_full"))
_SAID_OF_STORAGE = (
    *_SAID_OF_ROOM,
    ("file too large", "disk_full"),
    ("read-only file system", "media_unwritable"),
    ("permission denied", "media_unwritable"),
)

# What ffmpeg and ffprobe say on stderr; the first that occurs decides.
_SAID_BY_FFMPEG = (
    ("unknown encoder", "ffmpeg_unfit"),
    ("no such filter", "ffmpeg_unfit"),
    ("format not on whitelist", "not_media"),
    ("moov atom not found", "not_media"),
    ("invalid data found", "not_media"),
    ("does not contain any stream", "not_media"),
    ("protocol not found", "not_media"),
    ("not on whitelist", "not_media"),
    ("no such file", "not_found"),
)

# What the system ends a tool with when it goes over its limits; by exit code.
_OF_LIMITS = {
    -signal.SIGXFSZ: ("too_large", "what it wrote grew larger than any result may be"),
    -signal.SIGXCPU: ("timeout", "it used more processor time than there was"),
}

_PATHS = re.compile(r"file:/\S+: ")
_NAMED = "file:"  # how the names of files begin that a tool is told
_UNSAID = re.compile(r"[\x01-\x07\x0e-\x1f]")  # FFmpeg says ? instead
_HEAD = 200  # characters of a name that are always there: FFmpeg says 1023 of a line


def fault(code: str, message: str, *, after: float | None = None) -> WorkError:
    """Return the error that stands for ``code``, to be raised by the caller."""
    rule = RULES[code]
    if rule.of_host:
        return HostError(message, code=code, hint=rule.hint)
    if rule.permanent:
        return RefusedError(message, code=code, hint=rule.hint)
    return TransientError(message, code=code, hint=rule.hint, after=after or rule.after)


def broken_off(path: Path, said: float, end: float) -> str:
    """Say of a film that it ends (seconds) long before it says it does."""
    return f"{path.name} says {said:.1f} s but breaks off after {end:.1f} s"


def from_os_error(error: OSError, doing: str) -> WorkError:
    """Return what an ``OSError`` below the media root means, said after what was being done."""
    code = _of_number(error.errno)
    return fault(code, f"{doing}: {error.strerror or error} ({error.filename or 'no file named'})")


def from_start(error: OSError, program: str, folder: str) -> WorkError:
    """Return what it means that a program could not be started in a folder."""
    said = f"{program} cannot be run: {error}"
    if error.errno in EXHAUSTED:
        return fault("exhausted", said)
    if folder and error.filename == folder:
        return fault("media_unwritable", said)
    return fault("ffmpeg_missing", said)


def from_ffmpeg(doing: str, returncode: int, complaint: str) -> WorkError:
    """Return what a failed run of ffmpeg or ffprobe means.

    Args:
        doing: the work in words, which begins the message.
        returncode: negative when a signal ended it.
        complaint: the end of what it wrote on stderr, ``unnamed``.
    """
    for line in complaint.splitlines():  # what it says afterwards only follows from this
        if of_storage := _first(_SAID_OF_STORAGE, line, _ends):
            return fault(of_storage, f"{doing}: {_PATHS.sub('', line.strip())}")
    if of_limits := from_limits(doing, returncode):
        return of_limits
    code = "ffmpeg_killed" if returncode < 0 else _first(_SAID_BY_FFMPEG, complaint)
    reason = _PATHS.sub("", last_line(complaint)) or f"exit code {returncode}"
    return fault(code or "ffmpeg_failed", f"{doing}: {reason}")


def from_limits(doing: str, returncode: int) -> WorkError | None:
    """Return what it means that the system ended a tool for its limits, None if it did not."""
    code, what = _OF_LIMITS.get(returncode, ("", ""))
    return fault(code, f"{doing}: {what}") if code else None


def lacked_room(complaint: str) -> bool:
    """Answer whether a tool complained of a full disk, whatever its exit code says."""
    return any(_first(_SAID_OF_ROOM, line, _ends) for line in complaint.splitlines())


def unnamed(complaint: str, command: Iterable[str]) -> str:
    """Return a complaint without the names of files in the command: a name is no reason.

    Whoever chose the name could say with it that the disk is full.
    """
    for word in command:
        if word.startswith(_NAMED):
            complaint = _without(complaint, word)
    return complaint


def last_line(complaint: str) -> str:
    """Return the last line that says something: tools give their reason at the end."""
    lines = [line.strip() for line in complaint.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _of_number(number: int | None) -> str:
    if number in EXHAUSTED:
        return "exhausted"
    return "disk_full" if number in FULL else "media_unwritable"


def _without(complaint: str, name: str) -> str:
    """Leave a name out, and its beginning where the line was too long for all of it."""
    said = _UNSAID.sub("?", os.fsencode(name).decode(errors="replace"))
    head, tail = said[:_HEAD], said[_HEAD:]
    before, *rest = complaint.split(head)
    return before + "".join(text[_shared(text, tail) :].removeprefix(": ") for text in rest)


def _shared(text: str, other: str) -> int:
    """Return how many characters both begin with."""
    alike = (one == two for one, two in zip(text, other, strict=False))
    return sum(itertools.takewhile(bool, alike))


def _ends(text: str, part: str) -> bool:
    return text.rstrip(" .").endswith(part)


def _first(
    table: Iterable[tuple[str, str]],
    text: str,
    says: Callable[[str, str], bool] = operator.contains,
) -> str:
    text = text.lower()
    return next((code for part, code in table if says(text, part)), "")
