"""The entries of a list in the download child: which are there already, and noting those that came.

``finished`` says how they are kept. What is known of an entry before it is looked at tells it from
others, so that of one that is there nothing is asked of the site.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from workers import holdings
from workers.media.fetching import finished
from workers.media.fetching.child import harvest
from workers.media.fetching.child.bounds import Info
from workers.media.fetching.child.transfer import Transfers
from workers.media.fetching.finished import Finished, Note
from workers.media.fetching.wire import FetchRequest


class Album:
    """What is there of a list, and what comes."""

    def __init__(self, request: FetchRequest, note: Note, there: tuple[Finished, ...]) -> None:
        self._request, self._note = request, note
        self._there = {one.entry: one for one in there}
        self._numbers = {_number(file.path) for one in there for file in one.files}

    def name(self, entry: Info, extra: Info) -> str:
        """Return the name of an entry of a list; empty for what is none."""
        index = extra.get("playlist_index")
        return finished.name(self._request, int(index), _identity(entry, extra)) if index else ""

    def recall(self, name: str) -> Mapping[str, Any] | None:
        """Return an entry that is there, as ``harvest`` reads it; each once."""
        known = self._there.pop(name, None)
        return {harvest.THERE: known.files} if known else None

    def keep(self, name: str, entry: Any, transfers: Transfers) -> None:
        """Note an entry that came, when all of it is on disk."""
        if not entry or "entries" in entry or harvest.THERE in entry:
            return
        files = tuple(harvest.fetched(entry, transfers))
        sizes = tuple(_settled(Path(file.path)) for file in files)
        if any(not file.language for file in files):
            self._note(Finished(name, files, sizes))

    def next_number(self, last: int) -> int:
        """Return the number after one that no file which is there has in its name."""
        number = last + 1
        while number in self._numbers:
            number += 1
        return number


def _identity(entry: Info, extra: Info) -> tuple[str, ...]:
    """Return what a site calls an entry; on any page only the links tell films apart."""
    site = str(entry.get("ie_key") or extra.get("extractor_key") or "")
    known = str(entry.get("id") or "")
    if known and site not in harvest.OF_ANY_PAGE:
        return site, known
    return site, known, *_links(entry)


def _links(entry: Info) -> Iterator[str]:
    for one in (entry, *(entry.get("formats") or ())):
        if one.get("url"):
            yield str(one["url"])


def _number(path: str) -> int:
    number = Path(path).name.partition("-")[0]
    return int(number) if number.isdigit() else 0


def _settled(path: Path) -> int:
    """Return the size of a file, once its bytes would outlive a power failure."""
    holdings.sync(path)
    return path.stat().st_size
