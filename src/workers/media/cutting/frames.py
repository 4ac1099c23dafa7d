"""Whether what is asked for holds a frame, and which frames a piece really begins and ends with.

Pure. A piece shows the frames that begin in its span. One without a frame is nobody's piece: the
muxer would give it what comes next.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from workers.media.cutting.order import Order
from workers.media.faults import fault
from workers.media.files.film import Film
from workers.media.files.spans import SAME, Span

ROUNDED = SAME / 2  # a frame may begin only as much before a span as a millisecond is rounded
HEARD = 0.1  # seconds of sound that a piece without a picture has at least: some packets


def require(spans: Sequence[Span], film: Film, field: str, *, is_heard: bool) -> None:
    """Refuse the first span that holds nothing to show, or to hear once the picture is over.

    Args:
        spans: what is asked for, in the job's order.
        film: what there is.
        field: what the job calls one of them, with a place for its number.
        is_heard: there is sound.

    Raises:
        RefusedError: ``bad_option``, which names the span and says what would do.
    """
    film = _as_shown(spans, film)
    for place, span in enumerate(spans):
        if film.frames and (says := _lack(span, film, is_heard=is_heard)):
            raise fault("bad_option", f"{field.format(place)}: {says}")


def require_all(spans: Sequence[Span], film: Film, order: Order) -> None:
    """Refuse pieces that limits or a number have made shorter than a frame.

    Raises:
        RefusedError: ``bad_option``.
    """
    if not (film.has_picture and film.frames):
        return
    film = _as_shown(spans, film)
    bare = next((span for span in spans if _is_bare(span, film)), None)
    if bare is not None:
        field, better = ("equal", "fewer") if order.equal else ("segmentTime", "longer ones")
        says = f"a piece of {bare.length:.3f} s, from {bare.start:.3f} s on, would hold no frame"
        raise fault("bad_option", f"{field}: {says}; ask for {better}")


def snapped(spans: Sequence[Span], film: Film, limit: float | None) -> tuple[Span, ...]:
    """Return the spans from their first frames on to where the frame after their last begins.

    So pieces that touch share one moment, and no sound between it and the frame is lost. Where a
    piece would come over the limit by it, or hold nothing, all stay as they are.
    """
    moved = tuple(Span(_next(span.start, film), _next(span.end, film)) for span in spans)
    longest = math.inf if limit is None else limit
    are_pieces = all(SAME < span.length <= longest for span in moved)
    return moved if are_pieces else tuple(spans)


def _next(moment: float, film: Film) -> float:
    """Return when the first frame from a moment on begins; where there is none, the moment."""
    place = bisect_left(film.frames, moment - SAME)
    if moment <= film.first_frame + SAME or place == len(film.frames):
        return moment
    return moment if film.stands_still_at(moment) else film.frames[place]


def _lack(span: Span, film: Film, *, is_heard: bool) -> str:
    """Say why nothing can be made of a span; empty when something can."""
    if span.start > film.last_frame + SAME:
        return "" if is_heard and span.length >= HEARD else _after(span, film)
    if not _is_bare(span, film):
        return ""
    what = "frame" if film.has_picture else "packet of sound"
    place = bisect_right(film.frames, span.start + SAME)
    later = film.frames[place] if place < len(film.frames) else film.duration
    return (
        f"{span.start:.3f} to {span.end:.3f} s is too short to hold a {what}; "
        f"let it end at {later:.3f} s or later"
    )


def _after(span: Span, film: Film) -> str:
    what = "frame" if film.has_picture else "packet of sound"
    return (
        f"{span.start:.3f} to {span.end:.3f} s is after the last {what}, which is at "
        f"{film.last_frame:.3f} s; let it begin there or earlier"
    )


def _as_shown(spans: Sequence[Span], film: Film) -> Film:
    """Return the film with what is shown again where pieces begin while it stands still."""
    if not any(_is_bare(span, film) for span in spans):
        return film
    stills = film.stills([edge for span in spans for edge in (span.start, span.end)])
    return film.steadied(stills) if stills else film


def _is_bare(span: Span, film: Film) -> bool:
    """Say whether no frame begins in a span of the picture."""
    if span.start > film.last_frame + SAME:
        return False
    return not film.frames_of(Span(span.start + ROUNDED, span.end))
