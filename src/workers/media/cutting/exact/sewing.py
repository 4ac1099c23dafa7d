"""One piece of an exact cut: its parts made, joined with their sound, and looked at.

All of it lies in the table's folder, the segments, the parts and the piece.
"""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import BinaryIO

from workers.media.cutting.exact import parameter_sets, seam_commands
from workers.media.cutting.exact.likeness import Likeness
from workers.media.cutting.exact.reel import Reel
from workers.media.cutting.exact.seam_commands import FILM, KEYS, SOUND, Joining, Stitch
from workers.media.cutting.exact.seams import Part, Sewing
from workers.media.faults import from_ffmpeg
from workers.media.files import durations
from workers.media.tools import tool
from workers.media.tools.binaries import Binaries
from workers.processor import JobContext

BEYOND = 15  # frames decoded after a seam to see that it holds
SLACK = 0.0015  # seconds by which containers round a length up
LACKING = 0.1  # seconds by which a piece may be too short: packets of sound are not cut in two
_HEAD = 64 * 1024  # bytes of a segment in which its first picture begins


@dataclass(frozen=True, slots=True)
class SewingTable:
    """What all steps of one cut share."""

    reel: Reel
    likeness: Likeness
    sounds: tuple[bool, ...]  # for each track, whether it is the one that players choose
    tools: Binaries
    context: JobContext
    folder: Path  # of the segments and the parts

    @property
    def clock(self) -> int:
        """Ticks a second."""
        return self.reel.tick.denominator

    async def ask(self, command: tuple[str, ...], doing: str) -> list[str]:
        """Run a command in the folder and return what it printed.

        Raises:
            WorkError: it failed, sorted by what it said.
        """
        lines: list[str] = []
        call = tool.Call(command, folder=self.folder)
        finished = await tool.run(call, self.context, lines.append)
        if finished.code != 0:
            raise from_ffmpeg(doing, finished.code, finished.complaint)
        return lines


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen of a finished piece: why it will not do, if so, and how long it plays."""

    fault: str
    length: float  # seconds


async def sew(table: SewingTable, sewing: Sewing, name: str) -> Look:
    """Make a piece of copied and encoded parts, and look at all of it that could be wrong.

    Raises:
        WorkError: a tool failed.
    """
    if strange := await asyncio.to_thread(_strange, table.folder, sewing.parts):
        return Look(strange, 0.0)
    names = await _parts(table, sewing, name)
    if not sewing.is_copied:
        files = [table.folder / name for name in names]
        segment = table.folder / FILM.format(sewing.parts[0].segment)
        try:
            await asyncio.to_thread(_complete, files, segment)
        except (LookupError, ValueError) as error:
            return Look(f"its parts are not as planned ({error})", 0.0)
    seen = await join(table, sewing, names, name)
    broken = "" if seen.fault else await _decode(table, sewing, name)
    return Look(seen.fault or broken, seen.length)


async def join(table: SewingTable, sewing: Sewing, names: Sequence[str], name: str) -> Look:
    """Write a piece, the named parts one after another with their sound, and look at it.

    Raises:
        WorkError: ffmpeg failed.
    """
    listing = table.folder / f"parts-of-{name}.txt"
    lengths = [(name, part.length) for name, part in zip(names, sewing.parts, strict=True)]
    await asyncio.to_thread(listing.write_text, seam_commands.listing(lengths, table.clock))
    times, length = sewing.times, await asyncio.to_thread(_due, table, sewing)
    joining = Joining(
        name=name,
        listing=listing.name if times else "",
        sounds=table.sounds,
        zero=sewing.zero,
        length=length,
        late=times[0] / table.clock if times else 0.0,
        last=(times[-1], sewing.ends - times[-1]) if times else (0, 0),
        clock=table.clock,
    )
    await table.ask(seam_commands.join(table.tools, joining), "joining the parts of a piece")
    return await _look(table, sewing, name, length)


def _due(table: SewingTable, sewing: Sewing) -> float:
    """Return the seconds that a piece must play."""
    tracks = (table.folder / SOUND.format(index) for index in range(len(table.sounds)))
    told = [durations.read(track) for track in tracks] if sewing.is_last else []
    heard = max((track.length for track in told if track is not None), default=0.0)
    return playing(sewing, table.clock, heard)


def playing(sewing: Sewing, clock: int, heard: float) -> float:
    """Return the seconds that a piece plays: as long as its picture, or as sound goes on after it.

    Args:
        sewing: the piece.
        clock: ticks a second.
        heard: the second of the film at which its sound ends.
    """
    shown = sewing.ends / clock
    if not sewing.is_last:
        return shown
    return max(shown, min(sewing.span.length, min(sewing.span.end, heard) - sewing.zero))


async def _look(table: SewingTable, sewing: Sewing, name: str, due: float) -> Look:
    """Compare the times of a piece's frames, and its length, with what they must be."""
    said = await table.ask(seam_commands.examine(table.tools, name), "looking at a piece")
    times, length = seen_times(said, table.clock)
    if length > sewing.span.length + SLACK:
        return Look(f"it lasts {length:.3f} s, its span {sewing.span.length:.3f} s", length)
    if length < due - LACKING:
        return Look(f"it lasts {length:.3f} s, not {due:.3f} s", length)
    return Look(differing(times, sewing.times), length)


def seen_times(said: Iterable[str], clock: int) -> tuple[list[int], float]:
    """Return when the frames of a piece are shown, in order, and how long it plays."""
    times: list[int] = []
    length = 0.0
    for line in said:
        section, told, *_ = (*line.split("|"), "", "")
        name, _, value = told.partition("=")
        match section, name:
            case "packet", "pts" if value.lstrip("-").isdigit():
                times.append(int(value))
            case "stream", "time_base" if value != f"1/{clock}":
                return [], length
            case "format", "duration":
                length = float(value)
            case _:
                pass
    return sorted(times), length


def differing(seen: Sequence[int], due: Sequence[int]) -> str:
    """Say how the frames seen differ from those due, in words; empty when they are the same."""
    if len(seen) != len(due):
        return f"it has {len(seen)} frames, not {len(due)}"
    apart = max((abs(one - other) for one, other in zip(seen, due, strict=True)), default=0)
    return f"a frame is {apart} ticks off" if apart > 1 else ""


async def _parts(table: SewingTable, sewing: Sewing, name: str) -> list[str]:
    """Make the parts, and return their files; a segment copied whole is its own part.

    The first part is written into later, and segments belong to all pieces: it is never one.
    """
    names = [
        FILM.format(part.segment)
        if part.is_whole and (turn or sewing.is_copied)
        else f"part-{turn}-of-{name}"
        for turn, part in enumerate(sewing.parts)
    ]
    stitches = [
        Stitch(part, names[turn], parameter_sets.LAST - turn)
        for turn, part in enumerate(sewing.parts)
        if names[turn] != FILM.format(part.segment)
    ]
    if stitches:
        like = table.likeness.options()
        command = seam_commands.stitch(table.tools, stitches, like, table.clock)
        await table.ask(command, "encoding at the seams")
    return names


async def _decode(table: SewingTable, sewing: Sewing, name: str) -> str:
    """Decode across every seam, and say what is wrong with the frames that come out."""
    clock, found = table.clock, stretches(sewing)
    if not found:
        return ""
    asked = [(sewing.times[start] / clock if start else 0.0, stop - start) for start, stop in found]
    command = seam_commands.decode(table.tools, name, asked, clock)
    said = await table.ask(command, "decoding around the seams")
    for turn, (start, stop) in enumerate(found):
        shown = [int(line.split(",")[2]) for line in said if line.startswith(f"{turn},")]
        if wrong := differing(shown, sewing.times[start:stop]):
            return f"decoded around a seam, {wrong}"
    return ""


def stretches(sewing: Sewing) -> list[tuple[int, int]]:
    """Return the frames, from a keyframe on, to decode in order to see that all seams hold."""
    starts = [0, *accumulate(part.count for part in sewing.parts)]
    found = []
    for turn in range(1, len(sewing.parts)):
        before, after = sewing.parts[turn - 1], sewing.parts[turn]
        if before.encoded or after.encoded:
            keys = (before.count - 1) // KEYS * KEYS if before.encoded else 0
            stop = min(starts[turn] + BEYOND, starts[turn + 1])
            found.append((starts[turn - 1] + keys, stop))
    return found


def _strange(folder: Path, parts: Sequence[Part]) -> str:
    """Say what stands against making these parts, by their segments' own words."""
    used: set[int] = set()
    try:
        for number, held in sorted({(part.segment, part.held) for part in parts}):
            path = folder / FILM.format(number)
            # Cut at another keyframe it would bring frames that are not the piece's.
            if (told := durations.read(path)) is None or told.frames != held:
                return f"segment {number} has not the {held} frames planned"
            with path.open("rb") as segment:
                place, _ = dict(_outermost(segment))[b"mdat"]
                segment.seek(place)
                if not parameter_sets.begins_anew(segment.read(_HEAD)):
                    return "a keyframe is no clean beginning"
                used |= parameter_sets.of_film(_moov(segment)).ids
    except (FileNotFoundError, LookupError, ValueError) as error:
        return f"its segments are not as planned ({error})"
    ours = range(parameter_sets.LAST - len(parts), parameter_sets.LAST + 1)
    return "the source uses the ids of our parameter sets" if used & set(ours) else ""


def _complete(files: Sequence[Path], segment: Path) -> None:
    """Write into the first part what the piece's track takes from there.

    That is the parameter sets of all parts, and how the picture is turned: some versions of ffmpeg
    lose it where they encode.
    """
    model = _moov_of(segment)
    merged = parameter_sets.of_film(model)
    for path in files:
        merged = merged.with_those_of(parameter_sets.of_film(_moov_of(path)))
    with files[0].open("r+b") as first:
        moov = parameter_sets.turned_like(_moov(first), model)
        place, _ = dict(_outermost(first))[b"moov"]
        first.seek(place - 8)
        first.write(parameter_sets.replaced(moov, merged))
        first.truncate()


def _moov_of(path: Path) -> bytes:
    with path.open("rb") as file:
        return _moov(file)


def _moov(file: BinaryIO) -> bytes:
    place, size = dict(_outermost(file))[b"moov"]
    file.seek(place - 8)
    return file.read(8 + size)


def _outermost(file: BinaryIO) -> Iterator[tuple[bytes, tuple[int, int]]]:
    """Yield the boxes of an mp4 with the places and sizes of their contents."""
    place = 0
    while True:
        file.seek(place)
        head = file.read(16)
        if len(head) < 8:
            return
        size, name = int.from_bytes(head[:4]), head[4:8]
        ahead = 8
        if size == 1:
            size, ahead = int.from_bytes(head[8:16]), 16
        yield name, (place + ahead, size - ahead)
        place += max(size, 8)
