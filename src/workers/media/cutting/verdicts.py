"""Whether the pieces that were made keep what was promised, and what to learn where not.

Pure. Limits are held to the byte and the millisecond, by what the pieces say of themselves.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from consumers.errors import WorkError
from workers.media.cutting import sizes
from workers.media.cutting.cuts import Copy, Encode, Piece
from workers.media.cutting.order import Order
from workers.media.cutting.plans import Slack, Wanted
from workers.media.faults import fault
from workers.media.files.film import Film
from workers.media.files.spans import SAME, Span

BESIDE = 0.05  # seconds to stay under what was too long


@dataclass(frozen=True, slots=True)
class Broken:
    """A promise that pieces did not keep."""

    says: str
    seconds: float = 0.0  # over the limit
    share: float = 1.0  # of the size that there may be, to what there is
    is_lossy: bool = False  # copying lost or repeated frames


def uncopied(error: Exception) -> WorkError:
    """Return what it means that a film was not cut where it was to be copied; it never will be."""
    why = "the file does not say when all frames are shown"
    return fault(
        "bad_option", f"mode: copy does not do here, perhaps as {why}; choose auto: {error}"
    )


def judge(plan: Copy | Encode, pieces: Sequence[Piece], order: Order, film: Film) -> Broken | None:
    """Return what is wrong with the pieces, None when all is well."""
    lost = sum(map(abs, _lacking(plan, pieces, film)))
    if isinstance(plan, Copy) and lost:
        return Broken(f"copying would lose or repeat {lost} frames", is_lossy=True)
    if isinstance(plan, Copy) and any(piece.builds_up for piece in pieces):
        return Broken("copying would lose frames: pictures build up over several", is_lossy=True)
    longest = max((piece.length for piece in pieces), default=0.0)
    if order.limit is not None and longest > order.limit + 1e-6:
        says = f"a piece of {longest:.3f} s is over the {order.limit:g} s asked for"
        return Broken(says, seconds=longest - order.limit)
    largest = max((piece.size for piece in pieces), default=0)
    if order.size is not None and largest > order.size:
        says = f"a piece of {largest} bytes is over the {order.size} asked for"
        return Broken(says, share=order.size / largest)
    return None


def owned(plan: Copy | Encode, pieces: Sequence[Piece], film: Film) -> tuple[str, ...]:
    """Return what is wrong with encoded pieces and no other way of cutting would mend."""
    if isinstance(plan, Copy):
        return ()
    # A frame more in one piece and less in the next is a moment rounded, and no loss.
    lost = sum(_lacking(plan, pieces, film))
    says = f"the pieces show {abs(lost)} frames {'less' if lost > 0 else 'more'} than the source"
    return (says,) if lost else ()


def taught(slack: Slack, broken: Broken) -> Slack:
    """Return how much further to stay under the limits."""
    seconds = slack.seconds + broken.seconds + BESIDE if broken.seconds else slack.seconds
    share = slack.share * broken.share * 0.98 if broken.share < 1 else slack.share
    return replace(slack, seconds=seconds, share=share)


def lighter(pieces: Sequence[Piece], order: Order, film: Film, slack: Slack) -> Slack | None:
    """Return what pieces weigh that came out under half of the size; None where none did."""
    played = sum(piece.length for piece in pieces)
    made = sum(piece.size for piece in pieces)
    if slack.is_weighed or order.size is None or len(pieces) < 2 or not played:
        return None
    if made * 2 >= order.size * len(pieces):
        return None
    return replace(slack, weight=sizes.weight_of(film, made, played), is_weighed=True)


def reason_to_encode(plan: Copy | Encode, broken: Broken) -> str:
    """Return why the next attempt must encode, nothing when it may copy."""
    if broken.is_lossy:
        return broken.says
    return plan.why if isinstance(plan, Encode) else ""


def is_sewn(plan: Encode, order: Order) -> bool:
    """Say whether the pieces are cut on the frame, and encoded only around their cuts."""
    is_asked = order.mode == "exact" and order.height is None
    return is_asked and plan.is_sewable and not plan.is_steady


def told(plan: Copy | Encode, order: Order) -> Mapping[str, str]:
    """Return what the result says of the way the pieces were made."""
    if isinstance(plan, Copy):
        return {"mode": "copy"}
    if is_sewn(plan, order):
        return {"mode": "exact"}
    return {"mode": "encode", "why": plan.why}


def within(spans: Sequence[Span], duration: float) -> tuple[Span, ...]:
    """Return the spans as far as the file goes.

    Raises:
        RefusedError: ``bad_option``: one begins after its end.
    """
    for place, span in enumerate(spans):
        if span.start >= duration - SAME:
            says = f"ranges[{place}]: begins at {span.start:g} s, but the file ends at"
            raise fault("bad_option", f"{says} {duration:.3f} s")
    return tuple(Span(span.start, min(span.end, duration)) for span in spans)


def remarks(order: Order, wanted: Wanted, film: Film) -> tuple[str, ...]:
    """Return what is worth knowing about the order itself."""
    said: list[str] = []
    late = [place for place, span in enumerate(order.spans) if span.end > film.duration + SAME]
    said += [f"ranges[{place}]: ended with the file, at {film.duration:.3f} s" for place in late]
    if order.scenes is not None and not wanted.points:
        said.append("scenes: no change of scene was found")
    if order.silence is not None and not wanted.points:
        said.append("silence: none was found between sounds")
    return tuple(said)


def _lacking(plan: Copy | Encode, pieces: Sequence[Piece], film: Film) -> list[int]:
    """Return how many frames each piece lacks of the packets it was made of."""
    if isinstance(plan, Encode) and plan.is_steady:
        film = film.steadied(film.stills([edge for one in pieces for edge in (one.start, one.end)]))
    return [
        film.frames_of(Span(piece.start, piece.end)) - piece.frames
        for piece in pieces
        if piece.frames is not None and piece.kind == "video"
    ]
