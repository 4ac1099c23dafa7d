"""The entries of a list that an earlier attempt finished: they are not fetched again.

The child notes each of them beside its files, once those are on disk; whoever comes again reads
the note. It is believed as far as the files are there, each of the size that was noted.
"""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from workers.media.fetching.wire import Fetched, FetchRequest

NOTE = "finished.jsonl"


class Finished(msgspec.Struct, frozen=True):
    """An entry, the files it came as, and their sizes in bytes."""

    entry: str
    files: tuple[Fetched, ...]
    sizes: tuple[int, ...]


Note = Callable[[Finished], None]


def name(request: FetchRequest, index: int, identity: tuple[str, ...]) -> str:
    """Return what is the same for an entry in another attempt with the same wishes.

    Its place belongs to it: where a list has changed meanwhile, its entries are fetched again.
    """
    wishes = (request.format, request.max_height, request.audio_only, request.subtitles)
    return hashlib.sha256(msgspec.json.encode((index, identity, wishes))).hexdigest()


def read(folder: Path) -> tuple[Finished, ...]:
    """Return what was finished in a folder and is whole; the last word about a file counts."""
    try:
        lines = (folder / NOTE).read_bytes().splitlines()
    except FileNotFoundError:
        return ()
    said = {tuple(file.path for file in one.files): one for one in _understood(lines)}
    return tuple(one for one in said.values() if _is_whole(one, folder))


def kept(folder: Path) -> frozenset[Path]:
    """Return the files of a folder that another attempt will not fetch again, and their note."""
    files = (Path(file.path) for one in read(folder) for file in one.files)
    return frozenset({folder / NOTE, *files})


def weight(entries: tuple[Finished, ...]) -> int:
    """Return how many bytes entries have in all."""
    return sum(sum(one.sizes) for one in entries)


def _understood(lines: list[bytes]) -> Iterator[Finished]:
    decode = msgspec.json.Decoder(Finished).decode
    for line in lines:
        try:
            yield decode(line)
        except msgspec.DecodeError:  # an empty line, or a half one of a child that was killed
            continue


def _is_whole(one: Finished, folder: Path) -> bool:
    paths = [Path(file.path) for file in one.files]
    try:
        sizes = tuple(path.stat().st_size for path in paths)
    except OSError:
        return False
    return bool(paths) and sizes == one.sizes and all(path.parent == folder for path in paths)
