"""The way of one pass through a film: where the muxer cuts, what is encoded anew, what is dropped.

Pure. Marks lie half way to the frame before, so that no clock's rounding moves a cut.
"""

from bisect import bisect_left
from collections.abc import Sequence

from workers.media.cutting.cuts import marks
from workers.media.cutting.passes import Pass
from workers.media.files.film import Film
from workers.media.files.spans import SAME, Span
from workers.media.tools.ffmpeg import Course

AFTER = 1.0  # seconds that a copy goes on after its last cut, for frames stored out of order
TICK = 0.25  # seconds; a gap keeps a few frames, or its sound would overtake the encoder


def copying(one: Pass, film: Film) -> Course:
    """Return the course of a pass that copies."""
    told = marks(_inner(one, film), film.keyframes.every)
    if one.end >= film.duration - SAME:
        return Course(told)
    # After the last frame there is no keyframe to close the piece: the sound must stop there.
    return Course(told, until=one.end + (AFTER if one.end <= film.last_frame else 0.0))


def encoding(one: Pass, film: Film) -> Course:
    """Return the course of a pass that encodes."""
    cuts = _inner(one, film)
    is_whole = one.end >= film.duration - SAME
    until = None if is_whole else _before(one.end, film)
    if until is not None:
        cuts = tuple(cut for cut in cuts if cut < one.end - SAME)
    keys = tuple(_frame(cut, film) for cut in cuts)
    told = tuple(_before(cut, film) for cut in cuts)
    return Course(told, keys, until, _kept(one, film) if one.has_gaps else ())


def standing(pace: int, stills: Sequence[range]) -> tuple[str, ...]:
    """Return the filter that shows a picture again while it stands still, and nothing else.

    The film goes on as it is, on even ticks; beside it, on odd ones, runs a steady copy, of which
    only those turns of its clock are kept.
    """
    quarter = 0.25 / pace
    turns = (
        f"between(t,{max(0.0, still[0] / pace - quarter):.6f},{still[-1] / pace + quarter:.6f})"
        for still in stills
    )
    fine = "settb=1/1000000,setpts=2*floor(PTS/2)"
    return (
        f"split[film][steady];[film]{fine}[even];"
        f"[steady]fps={pace}:start_time=0:eof_action=pass,{fine}+1[odd];"
        f"[even][odd]interleave,select='eq(mod(round(t*1000000),2),0)+{'+'.join(turns)}'",
    )


def _inner(one: Pass, film: Film) -> tuple[float, ...]:
    """Return the cuts that have a frame after them; only there can the muxer cut."""
    last = min(film.last_frame + SAME, film.duration - SAME)
    return tuple(cut for cut in one.cuts if cut < last)


def _frame(moment: float, film: Film) -> float:
    """Return the first frame from a moment on."""
    place = bisect_left(film.frames, moment - SAME)
    return film.frames[place] if place < len(film.frames) else moment


def _before(moment: float, film: Film) -> float:
    """Return a moment between the first frame from a moment on and the one before it."""
    place = bisect_left(film.frames, moment - SAME)
    if not 0 < place < len(film.frames):
        return moment
    frame, before = film.frames[place], film.frames[place - 1]
    return frame - min(0.02, (frame - before) / 2)


def _kept(one: Pass, film: Film) -> tuple[str, ...]:
    """Return the filter that drops what no span wants.

    Kept are the spans; the first frame after each, which closes it; and a few in the gaps.
    """
    ends = [_before(span.end, film) for span in one.spans]
    terms = ["isnan(prev_selected_t)", f"gte(t,prev_selected_t+{TICK})"]
    for span, end in zip(one.spans, ends, strict=True):
        terms.append(f"between(t,{_start(span, film):.6f},{end:.6f})")
        terms.append(f"gte(t,{end:.6f})*lt(prev_selected_t,{end:.6f})")
    return (f"select='{'+'.join(terms)}'",)


def _start(span: Span, film: Film) -> float:
    return _before(span.start, film) if span.start > SAME else 0.0
