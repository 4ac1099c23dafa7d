"""The bounds a download keeps to, as its child enforces them: size, length, and the machine's.

The limits of the system are the second net: what grows past the first one is ended by the kernel.
"""

import contextlib
import resource
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workers.media.amounts import amount

Info = Mapping[str, Any]  # yt-dlp's information dictionaries are open-ended

EVERY = 1.0  # seconds between two looks at the disk
PAGE = 32_000_000  # bytes of one page or playlist: it is held in memory
FILES = 256  # open at once
MEMORY = 3_000_000_000  # bytes of data; a JavaScript engine reserves much and uses little
SLACK = 64_000_000  # bytes a file may exceed the cap by: joining picture and sound adds some


class NotTakenError(Exception):
    """An entry that is not downloaded, whatever the site offers."""


class LiveError(NotTakenError):
    """A broadcast that is running or announced: it has no end to wait for."""

    def __init__(self, title: object) -> None:
        super().__init__(f"{title} is a live broadcast")


class TooLongError(NotTakenError):
    """A video that plays longer than is taken."""

    def __init__(self, title: object, seconds: float, most: float) -> None:
        super().__init__(f"{title} plays {seconds:.0f} s, the limit is {most:.0f} s")


class TooLargeError(NotTakenError):
    """More bytes than are taken."""


class BrokenSegmentError(NotTakenError):
    """A segment of a stream that is none: a page, or a half, sent with "200 OK"."""


class FinalAnswerError(NotTakenError):
    """What a site says in the middle of a download, and would say again.

    None of yt-dlp's own errors: it asks for a segment again at once, several times, and keeps of
    the answer no more than its words.
    """

    def __init__(self, status: int, response: object) -> None:
        super().__init__(f"the site answers in the middle of the download: HTTP Error {status}")
        self.status = status
        self.response = response


class NothingArrivedError(NotTakenError):
    """yt-dlp says it is done, and there is no file."""


class NoRoomError(Exception):
    """The disk has less room than the file is known to need; that is no fault of the entry."""


class Choice:
    """Refuses what is live or too long, as soon as the site's page tells."""

    def __init__(self, longest: float) -> None:
        self._longest = longest

    def __call__(self, info: Info, **_how: object) -> None:
        """Be yt-dlp's ``match_filter``: return to take an entry."""
        title = info.get("title") or info.get("id")
        if info.get("is_live") or info.get("live_status") in {"is_live", "is_upcoming"}:
            raise LiveError(title)
        seconds = info.get("duration")
        if isinstance(seconds, int | float) and seconds > self._longest:
            raise TooLongError(title, seconds, self._longest)


class Budget:
    """Adds up all files of a link, and ends the download of what goes over."""

    def __init__(self, most: int, spent: int = 0) -> None:
        self._most = most
        self._spent = spent  # on files that were there before
        self._sizes: dict[str, int] = {}

    def __call__(self, state: Info) -> None:
        """Be yt-dlp's progress hook; a size that was announced counts at once."""
        name = str(state.get("filename"))
        known = state.get("downloaded_bytes") or 0, state.get("total_bytes") or 0
        self._sizes[name] = int(max(known))
        whole = self._spent + sum(self._sizes.values())
        if whole <= self._most:
            return
        del self._sizes[name]
        with contextlib.suppress(OSError):
            Path(str(state.get("tmpfilename"))).unlink()
        message = f"the download is larger than {amount(self._most)}, the most that is taken"
        raise TooLargeError(message)


class Room:
    """Looks whether the disk has room for what is still to come, once a second."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._looked_at = -EVERY

    def __call__(self, state: Info) -> None:
        """Be yt-dlp's progress hook; only an announced size tells what is to come."""
        missing = (state.get("total_bytes") or 0) - (state.get("downloaded_bytes") or 0)
        if missing <= 0 or time.monotonic() - self._looked_at < EVERY:
            return
        self._looked_at = time.monotonic()
        free = shutil.disk_usage(self._folder).free
        if free < missing:
            message = f"{amount(missing)} are to come, the disk has {amount(free)} left"
            raise NoRoomError(message)


def confine(max_size: int) -> None:
    """Bound this process and those it starts."""
    for what, most in (
        (resource.RLIMIT_FSIZE, max_size + SLACK),
        (resource.RLIMIT_NOFILE, FILES),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_DATA, MEMORY),
    ):
        _, hard = resource.getrlimit(what)
        allowed = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (allowed, allowed))
