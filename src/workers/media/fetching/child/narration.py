"""How far a download is, told from what yt-dlp says of each block: per cent, and how much."""

import time
from collections.abc import Callable

from workers.media.fetching.child.bounds import Info
from workers.media.fetching.wire import Moved

EVERY = 0.5  # seconds between two words about progress
_ASIDE = frozenset({"vtt", "srt", "ttml", "json3", "srv1", "srv2", "srv3", "ass"})


class Narrator:
    """Says how far a download is, twice a second at most and never backwards."""

    def __init__(self, say: Callable[[Moved], None]) -> None:
        self._say = say
        self._said_at = 0.0
        self._percent = 0.0

    def __call__(self, state: Info) -> None:
        """Take the state yt-dlp gives its hooks; subtitles are no progress."""
        if (state.get("info_dict") or {}).get("ext") in _ASIDE:
            return
        if time.monotonic() - self._said_at < EVERY and state.get("status") != "finished":
            return
        self._said_at = time.monotonic()
        self._percent = max(self._percent, percent(state))
        self._say(Moved(round(self._percent, 1), _amount(state)))


def percent(state: Info) -> float:
    """Return how far the whole link is, where entries of a list count the same."""
    info: Info = state.get("info_dict") or {}
    count = int(info.get("n_entries") or 1)
    place = min(int(info.get("playlist_autonumber") or 1), count)
    return 100.0 * (place - 1 + _fraction(state)) / count


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
