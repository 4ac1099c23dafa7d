"""How an order is carried out: copied between clean keyframes, or encoded.

Pure. A film and an order in, the spans of the pieces out. Copying is a hundred times faster, so
it is chosen wherever every piece then keeps its limits and begins where it was asked to.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from workers.media.cutting import frames, sizes
from workers.media.cutting.cuts import MOST_PIECES, Copy, Encode, aim
from workers.media.cutting.order import Order
from workers.media.faults import fault
from workers.media.files.film import Film, Load
from workers.media.files.spans import SAME, Span, between

SHORTEST = 0.5  # seconds; a hard cut leaves no less, whatever the budget of bytes
MARGIN = 0.97  # of a size: containers have tables of their own
TABLES = 4000  # bytes of them even in a small piece
SCRAP = 10  # a last piece so many times shorter than the one before it is a scrap
TOUCH = 20  # a cut between equal pieces may be off by this part of a piece


@dataclass(frozen=True, slots=True)
class Wanted:
    """Where cuts are asked for: stretches of their own, or points.

    A point is a span: a cut anywhere in it will do, its middle is best.
    """

    spans: tuple[Span, ...] = ()
    points: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True)
class Slack:
    """What pieces made before have taught: stay so much under the limits."""

    seconds: float = 0.0
    share: float = 1.0  # of the size
    weight: float = 1.0  # times the bytes that the picture has, where it is encoded
    is_weighed: bool = False  # by what came out

    @property
    def is_taught(self) -> bool:
        """Say whether some piece was over a limit."""
        return self.seconds > 0 or self.share < 1


@dataclass(frozen=True, slots=True)
class Reach:
    """How far a piece may go."""

    uncut: float  # seconds a stretch may have that needs no cut
    aim: float  # seconds to aim at where it is cut
    budget: float  # bytes
    load: Load
    is_strict: bool = False  # every piece is as long as it may be, whatever is left at the end

    def holds(self, span: Span, *, is_cut: bool) -> bool:
        """Say whether a span keeps the limits."""
        longest = self.aim if is_cut else self.uncut
        light = math.isinf(self.budget) or self.load.of(span) <= self.budget
        return span.length <= longest + 1e-6 and light

    def farthest(self, start: float) -> float:
        """Return the last moment at which a piece from start on may end."""
        far = start + self.aim
        return far if math.isinf(self.budget) else min(far, self.load.farthest(start, self.budget))


Resort = Callable[[float, float], float | None]
UNTAUGHT = Slack()


def choose(
    order: Order, film: Film, wanted: Wanted, slack: Slack = UNTAUGHT, why: str = ""
) -> Copy | Encode:
    """Return how to cut so that, unless the mode is ``copy``, every piece keeps its limits.

    Args:
        order: what the job asks for.
        film: what there is.
        wanted: where cuts are asked for.
        slack: what earlier pieces have taught.
        why: a reason not to copy, found out by doing it.

    Raises:
        RefusedError: ``too_many_pieces``, or ``bad_option`` when sound cannot be cut so fine.
    """
    film = replace(film, keyframes=film.keyframes.after(film.first_frame))
    plan = _encoded(order, film, wanted, slack, why) if why else _chosen(order, film, wanted, slack)
    if not film.has_picture and isinstance(plan, Encode):
        raise fault("bad_option", "segmentTime: is shorter than one packet of this sound")
    if len(plan.spans) > MOST_PIECES:
        says = f"{film.duration:.0f} s make {len(plan.spans)} pieces, over {MOST_PIECES}"
        raise fault("too_many_pieces", says)
    frames.require_all(plan.spans, film, order)
    return plan


def rate(order: Order, film: Film, spans: Sequence[Span], slack: Slack) -> float | None:
    """Return the bits a second that the picture may take, None for as many as it likes."""
    if order.size is None:
        return None
    longest = max(span.length for span in spans)
    return sizes.rate(film, order.size * slack.share, longest)


def _encoded(order: Order, film: Film, wanted: Wanted, slack: Slack, why: str) -> Encode:
    """Return the plan to encode, with every cut where it was asked for."""
    whole, points = film.whole, [(point.start + point.end) / 2 for point in wanted.points]
    film = replace(film, load=_load(order, film, slack))
    reach = _reach(order, film, slack)
    if order.equal:
        points = _targets(order, film, slack)
    spans = wanted.spans or (between(points, whole) if _is_settled(order) else (whole,))
    hard = _hard(min(SHORTEST, reach.aim))
    # Only a frame can begin a piece: a cut between two would lie at the later one.
    shown = film.frames[bisect_right(film.frames, film.first_frame + SAME) :]
    packed = (_packed(span, reach, (points, shown), hard) or () for span in spans)
    parts = frames.snapped([part for some in packed for part in some], film, order.limit)
    edges = {edge for part in parts for edge in (part.start, part.end)}
    return Encode(parts, why, is_steady=any(map(film.stands_still_at, edges)))


def _load(order: Order, film: Film, slack: Slack) -> Load:
    """Return the bytes over time of a film that is encoded."""
    is_free = order.size is None or order.count is not None
    budget = math.inf if is_free or order.size is None else order.size * MARGIN - TABLES
    is_rated = order.mode != "exact" or order.height is not None
    return sizes.load(film, slack.weight, budget, is_rated=is_rated)


def _chosen(order: Order, film: Film, wanted: Wanted, slack: Slack) -> Copy | Encode:
    if order.mode == "exact":
        return _encoded(order, film, wanted, slack, "exact cuts were asked for")
    if order.height is not None:
        return _encoded(order, film, wanted, slack, f"scaled to {order.height} lines")
    spans = _copied(order, film, wanted, slack)
    if spans is not None:
        return Copy(spans)
    if order.mode == "copy":
        return _loosely(order, film, wanted, slack)
    return _encoded(order, film, wanted, slack, _reason(order, wanted))


def _reason(order: Order, wanted: Wanted) -> str:
    """Say why a film cannot be copied between clean keyframes."""
    if wanted.spans:
        return "not every edge of the pieces is a clean keyframe"
    if order.equal:
        return "no clean keyframe is near enough to every cut between equal pieces"
    if _is_settled(order):
        return "not every cut asked for has a clean keyframe"
    limits = [] if order.limit is None else [f"{order.limit:g} s"]
    limits += [] if order.size is None else [f"{order.size} bytes"]
    return f"the clean keyframes are too far apart for pieces of {' and '.join(limits)}"


def _copied(order: Order, film: Film, wanted: Wanted, slack: Slack) -> tuple[Span, ...] | None:
    """Return spans between clean keyframes, None where some cut has none."""
    clean, reach = film.keyframes.clean, _reach(order, film, slack)
    points = [_snapped(point, clean) for point in wanted.points]
    if order.equal:
        targets = _targets(order, film, slack)
        near = film.duration / (len(targets) + 1) / TOUCH
        points = [_snapped(Span(at - near, at + near), clean) for at in targets]
    if _is_settled(order) and None in points:
        return None
    found = sorted({point for point in points if point is not None})
    edges = [(_edge(film, span.start), _edge(film, span.end)) for span in wanted.spans]
    spans = tuple(Span(a, b) for a, b in edges if a is not None and b is not None)
    if len(spans) != len(edges):
        return None
    if not spans:
        spans = between(found, film.whole) if _is_settled(order) else (film.whole,)
    beyond = _beyond(film.last_frame)
    parts = [_packed(span, reach, (found, clean), beyond) for span in spans]
    if None in parts or (order.equal and len(parts) != sum(len(part or ()) for part in parts)):
        return None
    return tuple(span for part in parts if part is not None for span in part)


def _loosely(order: Order, film: Film, wanted: Wanted, slack: Slack) -> Copy:
    """Return spans between the nearest keyframes, and say what that costs."""
    is_closed = bool(film.keyframes.clean) or not film.keyframes.every
    keys = film.keyframes.clean if is_closed else film.keyframes.every
    reach, everywhere = _reach(order, film, slack), film.duration
    targets = _targets(order, film, slack) if order.equal else []
    points = [*wanted.points, *(Span(at, at) for at in targets)]
    near = [_snapped(Span(p.start - everywhere, p.end + everywhere), keys) for p in points]
    found = sorted({at for at in near if at is not None})
    starts = {round(span.start, 3) for span in wanted.spans}
    spans = tuple(_widened(span, keys, film.duration, starts) for span in wanted.spans)
    if not spans:
        spans = between(found, film.whole) if _is_settled(order) else (film.whole,)
    parts = [_packed(span, reach, (found, keys), _next(keys, span.end)) or () for span in spans]
    asked = [part for some in parts for part in some]
    result = tuple(dict.fromkeys(asked))
    shared = len(asked) - len(result)
    return Copy(result, (*_costs(order, result, is_closed=is_closed), *_united(shared)))


def _united(shared: int) -> tuple[str, ...]:
    says = f"ranges: {shared} lie between the same keyframes as others, and share their pieces"
    return (says,) if shared else ()


def _costs(order: Order, spans: Sequence[Span], *, is_closed: bool) -> tuple[str, ...]:
    longest = max((span.length for span in spans), default=0.0)
    said: list[str] = []
    if order.limit is not None and longest > order.limit:
        said.append(f"the longest piece is {longest:.1f} s, over the {order.limit:g} s asked for")
    if not is_closed:
        said.append("the source has open GOPs: a few frames are lost at the seams")
    return tuple(said)


def _packed(
    span: Span, reach: Reach, candidates: Iterable[Sequence[float]], resort: Resort
) -> tuple[Span, ...] | None:
    """Divide a span with as few cuts as will do, each at the last candidate within reach."""
    cuts: list[float] = []
    start, kinds = span.start, tuple(candidates)
    while not reach.holds(Span(start, span.end), is_cut=bool(cuts)):
        far = min(reach.farthest(start), span.end)
        inside = (_last(points, start, far) for points in kinds)
        cut = next((at for at in inside if at is not None), None)
        cut = resort(start, far) if cut is None else cut
        if cut is None:
            return None
        if cut >= span.end - SAME or len(cuts) > MOST_PIECES:
            break
        cuts.append(cut)
        start = cut
    return between(_shared(cuts, span, reach, kinds), span)


def _shared(
    cuts: Sequence[float], span: Span, reach: Reach, kinds: Sequence[Sequence[float]]
) -> Sequence[float]:
    """Move the last cut towards the middle where it leaves a scrap and nobody asked for it."""
    start = (span.start, *cuts)[-2] if cuts else span.end
    if reach.is_strict or not cuts or cuts[-1] in kinds[0]:
        return cuts
    scrap = span.end - cuts[-1]
    if scrap * SCRAP >= cuts[-1] - start:
        return cuts
    middle = _nearest(kinds[-1], (start + span.end) / 2)
    halves = between([middle], Span(start, span.end))
    are_better = all(half.length > scrap and reach.holds(half, is_cut=True) for half in halves)
    return (*cuts[:-1], middle) if len(halves) == 2 and are_better else cuts


def _nearest(points: Sequence[float], moment: float) -> float:
    """Return the point that is nearest to a moment; the moment itself where there is none."""
    place = bisect_left(points, moment)
    return min(
        points[max(0, place - 1) : place + 1], key=lambda at: abs(at - moment), default=moment
    )


def _last(points: Sequence[float], start: float, far: float) -> float | None:
    place = bisect_right(points, far + 1e-6) - 1
    return points[place] if place >= 0 and points[place] > start + SAME else None


def _hard(shortest: float) -> Resort:
    return lambda start, far: max(far, start + shortest)


def _beyond(last_frame: float) -> Resort:
    """Where only sound is left, a cut may lie anywhere."""
    return lambda start, far: far if far > max(last_frame, start) + SAME else None


def _next(keys: Sequence[float], end: float) -> Resort:
    def after(start: float, _far: float) -> float:
        place = bisect_right(keys, start + SAME)
        return keys[place] if place < len(keys) else end

    return after


def _is_settled(order: Order) -> bool:
    """Say whether every point is a cut; with limits, points are only the places to prefer."""
    return order.equal or (order.limit is None and order.size is None)


def _reach(order: Order, film: Film, slack: Slack) -> Reach:
    limit = math.inf if order.limit is None else order.limit
    size = math.inf if order.size is None else order.size * MARGIN * slack.share - TABLES
    if order.equal and order.count is not None:
        return Reach(math.inf, math.inf, math.inf, film.load)
    aimed = limit if _needs_no_room(order, slack) else aim(limit) - slack.seconds
    shorter = max(limit / 2, aimed)
    is_strict = order.mode == "exact" and order.height is None
    return Reach(shorter if slack.seconds else limit, shorter, size, film.load, is_strict)


def _needs_no_room(order: Order, slack: Slack) -> bool:
    """Say whether pieces may have the very limit: exact ones end their sound with their picture."""
    is_exact = order.mode == "exact" and order.height is None
    return math.isinf(order.limit or math.inf) or (is_exact and not slack.seconds)


def _targets(order: Order, film: Film, slack: Slack) -> list[float]:
    reach = _reach(order, film, slack)
    by_size = 1 if math.isinf(reach.budget) else math.ceil(film.load.total / reach.budget)
    by_time = 1 if film.duration <= reach.uncut else math.ceil(film.duration / reach.aim)
    count = order.count or max(by_time, by_size)
    return [film.duration * turn / count for turn in range(1, count)]


def _snapped(point: Span, keys: Sequence[float]) -> float | None:
    """Return the keyframe within a point that is nearest to its middle."""
    middle = (point.start + point.end) / 2
    place = bisect_left(keys, middle)
    around = keys[max(0, place - 1) : place + 1]
    inside = [at for at in around if point.start - SAME <= at <= point.end + SAME and at > SAME]
    return min(inside, key=lambda at: abs(at - middle), default=None)


def _edge(film: Film, moment: float) -> float | None:
    """Return the clean keyframe that is the first frame from a moment on."""
    if moment <= SAME or moment >= film.duration - SAME:
        return min(max(moment, 0.0), film.duration)
    place = bisect_left(film.frames, moment - SAME)
    if place == len(film.frames):
        return moment  # only sound is left there
    frame, clean = film.frames[place], film.keyframes.clean
    at = bisect_left(clean, frame - SAME)
    return clean[at] if at < len(clean) and abs(clean[at] - frame) <= SAME else None


def _widened(span: Span, keys: Sequence[float], duration: float, starts: set[float]) -> Span:
    """Return the keyframes around a span; where another span begins, both share its keyframe."""
    first = bisect_right(keys, span.start + SAME) - 1
    start = keys[first] if first >= 0 else 0.0
    touching = round(span.end, 3) in starts
    place = (
        bisect_right(keys, span.end + SAME) - 1 if touching else bisect_left(keys, span.end - SAME)
    )
    end = keys[place] if 0 <= place < len(keys) and span.end < duration - SAME else duration
    return Span(start, end) if end > start else Span(start, min(duration, start + span.length))
