"""The cutter processor: a file in, pieces that keep their limits out, in order.

Cutting at keyframes without encoding is a hundred times faster, so ``auto`` does it wherever every
piece then keeps its limits without losing a frame, and encodes where not.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from workers import registry
from workers.media import presets, readiness, settings
from workers.media.cutting import (
    containers,
    detection,
    frames,
    making,
    order,
    plans,
    sizes,
    verdicts,
)
from workers.media.cutting.cuts import Copy, Encode, Piece
from workers.media.cutting.exact.smart import NotExactError
from workers.media.cutting.making import Bench, MiscountError
from workers.media.cutting.order import Order, Request
from workers.media.cutting.plans import Slack, Wanted
from workers.media.cutting.verdicts import Broken
from workers.media.faults import fault
from workers.media.files import intake, workspace
from workers.media.files.film import Film
from workers.media.files.intake import Door
from workers.media.files.probe import Media
from workers.media.files.spans import Span, between
from workers.media.files.workspace import Places
from workers.media.tools import binaries, room
from workers.processor import Job, JobContext, Result, ResultFile

__all__ = ["Request", "check_host", "handle"]

ATTEMPTS = 4  # at keeping the limits
FEWER = 0.7  # of the pieces, for which all is encoded once more

check_host = readiness.examine


@dataclass(frozen=True, slots=True)
class _Case:
    """What is asked for and what there is."""

    wish: Order
    media: Media
    film: Film
    wanted: Wanted


async def handle(job: Job, context: JobContext) -> Result:
    """Cut a job's file into pieces, once.

    Raises:
        MalformedError: a preset that there is not, or that contradicts the job.
        RefusedError: no such file, not media, too many pieces, a source that breaks off.
        TransientError: ffmpeg killed, timeout.
        HostError: ffmpeg missing, disk full, media folder not writable.
    """
    request = registry.read(Request, job.data)
    known = {**presets.DEFAULTS, **settings.read(context.options).presets}
    wish = order.resolve(request, known)
    return await workspace.once(job, context, partial(_cut, request.file_path, wish, context))


async def _cut(name: str, wish: Order, context: JobContext, places: Places) -> Result:
    tools = await asyncio.to_thread(binaries.find, settings.read(context.options).ffmpeg)
    media = await intake.take(name, Door(tools, context, places), share=order.room(wish))
    bench, wish = Bench(tools, context, places.out), _fitting(wish, media)
    film = await making.look(media, bench, weigh=wish.size is not None)
    wanted, bench = await _wanted(wish, media, bench)
    field = "ranges[{}]" if wish.spans else "chapters[{}]"
    frames.require(wanted.spans, film, field, is_heard=bool(media.sounds))
    plan, pieces = await _kept(_Case(wish, media, film, wanted), bench)
    return Result(
        files=tuple(_file(piece, media, wish, places.out) for piece in pieces),
        data={"duration": media.duration, **verdicts.told(plan, wish)},
        warnings=(*verdicts.remarks(wish, wanted, film), *plan.warnings),
    )


def _fitting(wish: Order, media: Media) -> Order:
    """Return the order as far as it applies to what there is."""
    if media.video is None:
        # Every packet of sound is a keyframe: copying is exact enough, and encoding has no picture.
        return replace(wish, mode="auto" if wish.mode == "exact" else wish.mode, height=None)
    return wish if containers.is_scaled(media, wish.height) else replace(wish, height=None)


async def _wanted(wish: Order, media: Media, bench: Bench) -> tuple[Wanted, Bench]:
    """Return where cuts are asked for, and what remains of the progress."""
    if wish.spans:
        return Wanted(spans=verdicts.within(wish.spans, media.duration)), bench
    if wish.chapters:
        if not media.chapters:
            raise fault("bad_option", f"chapters: {media.path.name} has none")
        return Wanted(spans=between(media.chapters[1:], Span(0.0, media.duration))), bench
    rest = replace(bench, first=40.0)
    if wish.scenes is not None:
        seen = await detection.scenes(media, wish.scenes, replace(bench, last=40.0))
        return Wanted(points=seen), rest
    if wish.silence is not None:
        heard = await detection.silences(media, wish.silence, replace(bench, last=40.0))
        return Wanted(points=heard), rest
    return Wanted(), bench


async def _kept(case: _Case, bench: Bench) -> tuple[Copy | Encode, tuple[Piece, ...]]:
    """Make the pieces until they keep what was promised; what went wrong teaches the next plan."""
    wish, why = case.wish, ""
    heft = containers.heft(case.media, wish.height, [case.film.whole])
    slack = Slack(weight=sizes.scaled(heft))
    for turn in range(ATTEMPTS):
        plan = plans.choose(wish, case.film, case.wanted, slack, why)
        plan, pieces, broken = await _tried(case, plan, slack, bench)
        fuller = None if broken or turn > ATTEMPTS - 3 else _fuller(case, plan, pieces, slack)
        if broken is None and fuller is None:
            return plan, pieces
        broken = broken or Broken("the pieces are far smaller than they may be")
        if wish.mode == "copy" and (plan.warnings or broken.is_lossy or slack.is_taught):
            return replace(plan, warnings=plan.warnings or (broken.says,)), pieces
        bench.context.log(f"cutting again: {broken.says}")
        bench = replace(bench, first=98.0, last=99.0)
        slack = fuller or verdicts.taught(slack, broken)
        why = verdicts.reason_to_encode(plan, broken)
    says = f"{case.media.path.name} could not be cut within the limits in {ATTEMPTS} attempts"
    raise fault("limits_unkept", says)


def _fuller(
    case: _Case, plan: Copy | Encode, pieces: Sequence[Piece], slack: Slack
) -> Slack | None:
    """Return what would make far fewer pieces, each within its size; None where nothing would."""
    if isinstance(plan, Copy) or verdicts.is_sewn(plan, case.wish):
        return None
    weighed = verdicts.lighter(pieces, case.wish, case.film, slack)
    if weighed is None:
        return None
    other = plans.choose(case.wish, case.film, case.wanted, weighed, plan.why)
    return weighed if len(other.spans) <= len(plan.spans) * FEWER else None


async def _tried(
    case: _Case, plan: Copy | Encode, slack: Slack, bench: Bench
) -> tuple[Copy | Encode, tuple[Piece, ...], Broken | None]:
    """Carry a plan out, sewn pieces the plain way if they do not come out right, and judge."""
    try:
        pieces = await _made(case, plan, slack, bench)
    except NotExactError as error:
        if isinstance(plan, Copy):
            raise
        bench.context.log(f"encoding another way: {error}")
        return await _tried(case, replace(plan, is_sewable=False), slack, bench)
    except MiscountError as error:
        if isinstance(plan, Encode):
            raise fault("ffmpeg_failed", str(error)) from error
        if case.wish.mode == "copy":
            raise verdicts.uncopied(error) from error
        return plan, (), Broken(str(error), is_lossy=True)
    broken = verdicts.judge(plan, pieces, case.wish, case.film)
    remarks = verdicts.owned(plan, pieces, case.film)
    return replace(plan, warnings=(*plan.warnings, *remarks)), pieces, broken


async def _made(case: _Case, plan: Copy | Encode, slack: Slack, bench: Bench) -> tuple[Piece, ...]:
    wish, media, film = case.wish, case.media, case.film
    if isinstance(plan, Copy):
        pieces = await making.copy(media, film, plan.spans, bench)
    elif verdicts.is_sewn(plan, wish):
        pieces = await making.exactly(media, plan.spans, bench)
    else:
        bench.context.log(f"encoding: {plan.why}")
        needed = int(media.size * containers.heft(media, wish.height, plan.spans))
        await asyncio.to_thread(room.require, bench.out, needed, f"encoding {media.path.name}")
        rate = plans.rate(wish, film, plan.spans, slack)
        ahead = sizes.ahead(max(span.length for span in plan.spans))
        cut = containers.encoding(media, wish.height, rate, ahead)
        pieces = await making.encode(media, film, plan, bench, cut)
    return await asyncio.to_thread(_weighed, pieces, bench.out)


def _weighed(pieces: Sequence[Piece], out: Path) -> tuple[Piece, ...]:
    return tuple(replace(piece, size=(out / piece.name).stat().st_size) for piece in pieces)


def _file(piece: Piece, media: Media, wish: Order, out: Path) -> ResultFile:
    width, height = containers.shown(media, wish.height) if piece.kind == "video" else (None, None)
    return ResultFile(
        path=str(out / piece.name),
        size=piece.size,
        duration=round(piece.length, 3),
        width=width,
        height=height,
        start=round(piece.start, 3),
        end=round(piece.end, 3),
        kind=piece.kind,
    )
