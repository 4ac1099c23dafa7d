"""Where an exact cut encodes and where it copies: a film's packets and the spans in, parts out.

Pure. The film is divided into segments at clean keyframes around the edges of the spans. A segment
that a span holds whole is copied; of one it holds only in part, the frames up to the last seam are
copied and the rest is encoded.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from workers.media.cutting import cuts
from workers.media.cutting.exact.reel import Reel, Structure
from workers.media.files.spans import Span

# A picture that begins later than this after its span's start keeps its distance to the sound.
LATE = 0.1  # seconds
ENCODING = 3  # times the work of decoding a frame


@dataclass(frozen=True, slots=True)
class Part:
    """Consecutive frames of one segment; frames and packets are counted from the segment's first.

    Copied parts begin at the segment's keyframe, so their frames are the first ``count`` packets.
    """

    segment: int
    first: int  # frame
    count: int
    encoded: bool
    is_whole: bool = False  # a segment copied as it is
    held: int = 0  # frames that its segment has
    length: int = 0  # ticks until the next part begins, or the piece ends
    lead: int = 0  # ticks by which packets are decoded before they are shown

    @property
    def stop(self) -> int:
        """The frame after the last."""
        return self.first + self.count


@dataclass(frozen=True, slots=True)
class Sewing:
    """How one piece is made; ticks of the film's clock."""

    span: Span
    parts: tuple[Part, ...]
    times: tuple[int, ...]  # when each frame is shown, after the piece's beginning
    zero: float  # the second of the film at which the piece begins
    ends: int  # when the last frame ends, after the piece's beginning
    is_last: bool = False  # nothing is shown after its frames, if it has any

    @property
    def is_copied(self) -> bool:
        """Say whether nothing of it is encoded."""
        return not any(part.encoded for part in self.parts)


@dataclass(frozen=True, slots=True)
class Plan:
    """Where to divide the film, in its seconds, and how to make each piece of the segments."""

    marks: tuple[float, ...]
    pieces: tuple[Sewing, ...]

    @property
    def toil(self) -> int:
        """The work in frames decoded; a segment is decoded from its beginning for every part."""
        encoded = [part for piece in self.pieces for part in piece.parts if part.encoded]
        return sum(part.stop + ENCODING * part.count for part in encoded)


def hindrance(structure: Structure, chosen: Plan) -> str:
    """Say why encoding the whole film is less work than a plan; empty when it is not."""
    whole_film = len(structure.shown) * (1 + ENCODING)
    return "its clean keyframes are too far apart" if chosen.toil >= whole_film else ""


def plan(reel: Reel, structure: Structure, spans: Sequence[Span]) -> Plan:
    """Return how to make the pieces of the spans from as few encoded frames as possible."""
    edges = _edges(structure, spans)
    every = [reel.seconds(reel.pts[key]) for key in reel.keys]
    at = [reel.seconds(reel.pts[edge]) for edge in edges[1:]]
    pieces = tuple(_sew(reel, structure, edges, span) for span in spans)
    return Plan(cuts.marks(at, sorted(every)), pieces)


def whole(reel: Reel, structure: Structure, spans: Sequence[Span]) -> Plan:
    """Return how to make the pieces when the whole film is encoded and divided at their edges.

    The marks lie half way between two frames: encoders and muxers take the next one.
    """
    ranges = [structure.frames(span) for span in spans]
    edges = sorted({0, *(edge for frames in ranges for edge in frames)} - {len(structure.shown)})
    halves = [(structure.shown[edge - 1] + structure.shown[edge]) / 2 for edge in edges[1:]]
    marks = tuple(float(Fraction(half) * reel.tick) - reel.origin for half in halves)
    pieces = tuple(_uncut(reel, structure, edges, span) for span in spans)
    return Plan(marks, pieces)


def _edges(structure: Structure, spans: Iterable[Span]) -> list[int]:
    """Return the packets at which segments begin: the clean keyframes around every edge."""
    found = {0}
    for span in spans:
        for frame in set(structure.frames(span)) - {len(structure.shown)}:
            place = bisect_right(structure.clean, frame) - 1
            exact = structure.clean[place] == frame
            found.update(structure.clean[place : place + (1 if exact else 2)])
    return sorted(found)


def _sew(reel: Reel, structure: Structure, edges: Sequence[int], span: Span) -> Sewing:
    # Up to a seam the stream holds as many packets as frames: one number counts both.
    first, stop = structure.frames(span)
    parts: list[Part] = []
    for index, begins in enumerate(edges):
        closes = edges[index + 1] if index + 1 < len(edges) else len(structure.shown)
        low, high = max(first, begins), min(stop, closes)
        if low < high:
            seam = structure.last_seam(low, high) if low == begins else low
            parts += _parts(index, (begins, closes), (low, seam, high))
    return _timed(reel, structure, span, parts)


def _parts(index: int, segment: tuple[int, int], edges: tuple[int, int, int]) -> list[Part]:
    """Return what is copied up to the seam, and what is encoded from there on."""
    low, seam, high = edges
    held = segment[1] - segment[0]
    made: list[Part] = []
    if seam > low:
        is_whole = (low, seam) == segment
        made.append(Part(index, 0, seam - low, encoded=False, is_whole=is_whole, held=held))
    if high > seam:
        made.append(Part(index, seam - segment[0], high - seam, encoded=True, held=held))
    return made


def _uncut(reel: Reel, structure: Structure, edges: Sequence[int], span: Span) -> Sewing:
    """Return a piece of encoded segments: one, unless another span begins within it."""
    first, stop = structure.frames(span)
    pairs = zip(edges, [*edges[1:], len(structure.shown)], strict=True)
    parts = [
        Part(index, 0, closes - begins, encoded=False, is_whole=True)
        for index, (begins, closes) in enumerate(pairs)
        if first <= begins and closes <= stop and begins < closes
    ]
    return _timed(reel, structure, span, parts)


def _timed(reel: Reel, structure: Structure, span: Span, parts: Sequence[Part]) -> Sewing:
    """Return the piece with the clock set: its own frames' times, and how long each part is."""
    first, stop = structure.frames(span)
    if first == stop:
        return Sewing(span, (), (), span.start, 0, is_last=True)
    shown = structure.shown[first:stop]
    begins = shown[0]
    if reel.seconds(begins) - span.start > LATE:
        begins = reel.ticks(span.start)
    ends = structure.ends(stop, span)
    return Sewing(
        span,
        tuple(_measured(reel, first, parts, (*shown, ends))),
        tuple(at - begins for at in shown),
        reel.seconds(begins),
        ends - begins,
        is_last=stop == len(structure.shown),
    )


def _measured(reel: Reel, first: int, parts: Sequence[Part], times: Sequence[int]) -> list[Part]:
    """Return the parts with their lengths, and with leads that keep the decoding in order.

    What is encoded has the lead of the first packet copied, less where the packet decoded last
    before it would be overtaken.
    """
    copied = _first_copied(parts)
    lead = 0 if copied is None else reel.leads[first + copied]
    done: list[Part] = []
    at, decoded = 0, times[0] - lead - 1
    for part in parts:
        stop = at + part.count
        leads = max(0, min(lead, times[at] - decoded - 1)) if part.encoded else 0
        done.append(replace(part, length=times[stop] - times[at], lead=leads))
        decoded = reel.decoded(first + stop - 1) if not part.encoded else times[stop - 1] - leads
        at = stop
    return done


def _first_copied(parts: Sequence[Part]) -> int | None:
    """Return how many frames come before the first part copied."""
    at = 0
    for part in parts:
        if not part.encoded:
            return at
        at += part.count
    return None
