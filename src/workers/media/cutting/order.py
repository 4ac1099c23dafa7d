"""What a cutting job asks for: its fields, whether they agree, and what they amount to.

Pure. Two kinds of fields: *where* to cut (one of ranges, chapters, scenes, silence, equal, or
nothing), and the limits each piece keeps (segmentTime, maxSize). A preset fills in what is unsaid.
"""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated

import msgspec

from consumers.errors import MalformedError
from workers.media.cutting import ranges
from workers.media.files.spans import Span
from workers.media.presets import Height, Mode, Preset, SegmentTime

DEFAULT_LIMIT = 30.0  # seconds
SCENE = 10.0  # how different two frames are at a cut between scenes, in per cent

Moment = float | str


class Between(msgspec.Struct, frozen=True):
    """One range of a job: seconds or ``hh:mm:ss.mmm``."""

    start: Moment
    end: Moment


class Silence(msgspec.Struct, frozen=True):
    """What counts as silence: quieter than ``noise`` dB for ``length`` seconds."""

    noise: Annotated[float, msgspec.Meta(ge=-120, le=-1)] = -35.0
    length: Annotated[float, msgspec.Meta(gt=0, le=600)] = 0.6


Ranges = Annotated[
    tuple[Between | tuple[Moment, Moment], ...],
    msgspec.Meta(min_length=1, max_length=1000, examples=[[[10, 20.5], ["1:00", "1:30"]]]),
]


class Request(msgspec.Struct, frozen=True, rename="camel"):
    """What a cutting job says; None is what it leaves unsaid."""

    file_path: Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]
    segment_time: SegmentTime | None = None
    mode: Mode | None = None
    max_size: int | str | None = None
    height: Height | None = None
    ranges: Ranges | None = None
    chapters: bool = False
    scenes: bool | Annotated[float, msgspec.Meta(gt=0, lt=100)] = False
    silence: bool | Silence = False
    equal: bool | Annotated[int, msgspec.Meta(ge=1, le=1000)] = False
    preset: Annotated[str, msgspec.Meta(min_length=1, max_length=64)] | None = None

    def __post_init__(self) -> None:
        """Refuse what no file system knows, no clock shows, or what contradicts itself."""
        if "\0" in self.file_path:
            raise MalformedError("filePath", "must not contain a NUL character")
        for field, number in (("segmentTime", self.segment_time), ("scenes", self.scenes)):
            if number is not None and not math.isfinite(number):
                raise MalformedError(field, "must be a number")
        spans_of(self.ranges or ())
        if self.max_size is not None:
            ranges.size(self.max_size, "maxSize")
        _agree(self)

    @property
    def counts_pieces(self) -> bool:
        """Say whether it asks for so many pieces, whatever their length."""
        return not isinstance(self.equal, bool)


@dataclass(frozen=True, slots=True)
class Order:
    """What a job amounts to: the limits, and where to cut."""

    mode: Mode
    limit: float | None = None  # seconds; None: as long as it comes
    size: int | None = None  # bytes
    height: int | None = None
    spans: tuple[Span, ...] = ()
    chapters: bool = False
    scenes: float | None = None  # threshold
    silence: Silence | None = None
    equal: bool = False
    count: int | None = None

    @property
    def is_plain(self) -> bool:
        """Say whether only the limits decide where to cut."""
        silent = self.silence is None and self.scenes is None
        return silent and not (self.spans or self.chapters or self.equal)


def room(order: Order) -> float:
    """Return how many times its source's size an order takes at least, as far as it tells."""
    is_whole = not order.spans
    if order.mode == "exact" and order.height is None:
        return 2.0 if is_whole else 1.0  # the film in segments, and the pieces
    return 1.0 if is_whole and order.height is None else 0.0


def resolve(request: Request, presets: Mapping[str, Preset]) -> Order:
    """Return what a job amounts to with the presets there are; its own words win.

    Raises:
        MalformedError: no such preset, or one that contradicts the job.
    """
    preset = _preset(request, presets)
    limit = preset.segment_time if request.segment_time is None else request.segment_time
    said = preset.max_size if request.max_size is None else request.max_size
    order = Order(
        mode=request.mode or preset.mode or "auto",
        limit=limit,
        size=None if said is None else ranges.size(said, "maxSize"),
        height=request.height or preset.height,
        spans=spans_of(request.ranges or ()),
        chapters=request.chapters,
        scenes=_threshold(request.scenes),
        silence=_silence(request.silence),
        equal=bool(request.equal),
        count=int(request.equal) if request.counts_pieces else None,
    )
    _fits_preset(request, order)
    return replace(order, limit=DEFAULT_LIMIT) if _lacks_limit(order) else order


def spans_of(said: Ranges) -> tuple[Span, ...]:
    """Return the spans that a job's ranges mean, in its order.

    Raises:
        MalformedError: a moment cannot be read, or a range ends before it begins.
    """
    return tuple(_span(place, one) for place, one in enumerate(said))


def _lacks_limit(order: Order) -> bool:
    unsaid = order.limit is None and order.size is None and order.count is None
    return unsaid and (order.equal or order.is_plain)


def _span(place: int, said: Between | tuple[Moment, Moment]) -> Span:
    start, end = (said.start, said.end) if isinstance(said, Between) else said
    field = f"ranges[{place}]"
    span = Span(ranges.moment(start, f"{field}.start"), ranges.moment(end, f"{field}.end"))
    if span.length <= 0:
        raise MalformedError(field, f"ends at {end}, not after its start at {start}")
    return span


def _agree(request: Request) -> None:
    """Refuse two fields that cannot both be followed."""
    where = ("ranges", "chapters", "scenes", "silence", "equal")
    asked = [field for field in where if getattr(request, field)]
    for one, other in itertools.pairwise(asked):
        raise _contradiction(one, other, "both say where to cut: choose one")
    for field, said in (("segmentTime", request.segment_time), ("maxSize", request.max_size)):
        if request.counts_pieces and said is not None:
            raise _contradiction("equal", field, "a number of pieces leaves no room for a limit")
    if request.mode == "copy" and request.height is not None:
        raise _contradiction("mode", "height", "a copied picture keeps its height")


def _fits_preset(request: Request, order: Order) -> None:
    if order.count is not None and (order.limit is not None or order.size is not None):
        raise _contradiction("equal", "preset", "a number of pieces leaves no room for its limits")
    if order.mode == "copy" and order.height is not None:
        fields = ("mode", "preset") if request.height is None else ("height", "preset")
        raise _contradiction(*fields, "a copied picture keeps its height")


def _contradiction(one: str, other: str, why: str) -> MalformedError:
    return MalformedError(f"{one}, {other}", f"contradict each other: {why}")


def _preset(request: Request, presets: Mapping[str, Preset]) -> Preset:
    if request.preset is None:
        return Preset()
    if request.preset not in presets:
        known = ", ".join(sorted(presets))
        raise MalformedError("preset", f"there is no {request.preset!r}; there are: {known}")
    return presets[request.preset]


def _threshold(said: bool | float) -> float | None:  # noqa: FBT001 - as the job says it
    if isinstance(said, bool):
        return SCENE if said else None
    return said


def _silence(said: bool | Silence) -> Silence | None:  # noqa: FBT001 - as the job says it
    if isinstance(said, bool):
        return Silence() if said else None
    return said
