"""The ffmpeg and ffprobe command lines we use; the one file that knows ffmpeg-python.

The library only builds commands here: running them, with deadlines and kills, is ``tool``'s.
Every input is confined to files in formats that cannot name other files.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ffmpeg

from workers.media.binaries import Binaries
from workers.media.cuts import Copy, Encode
from workers.media.samples import Look, Sample, Size

FORMATS = "mov,matroska,webm,mp3,aac,ogg,wav,flac,mpegts,avi,flv"
_CONFINED = {"protocol_whitelist": "file", "format_whitelist": FORMATS}
_QUIET = ("-nostdin", "-hide_banner", "-v", "error", "-nostats", "-y")
_PROGRESS = ("-progress", "pipe:1", "-stats_period", "0.5")
_X264 = {"c:v": "libx264", "preset": "veryfast", "pix_fmt": "yuv420p"}
SEGMENTS = "segments.csv"  # the segment muxer's own record of its pieces
CLIP = "clip.mp4"
NEVER = 1e9  # seconds; a cut time that no file reaches

# ffmpeg-python is untyped: its streams and filters are opaque values passed from call to call.
Opaque = Any


@dataclass(frozen=True, slots=True)
class Cut:
    """One source to be cut: which streams to take and what to call the pieces."""

    source: Path
    streams: tuple[int, ...]  # absolute indexes, the picture first
    container: str  # muxer name
    suffix: str
    audio: str = "copy"  # encoder for sound, in an encoding pass
    odd: bool = False  # width or height is odd, which yuv420p cannot hold


@dataclass(frozen=True, slots=True)
class Picture:
    """The picture of a film, and the size it is wanted in."""

    source: Path
    stream: int  # absolute index
    size: Size


def describe(tools: Binaries, source: Path) -> tuple[str, ...]:
    """Return the command that prints format and streams as JSON."""
    return _probing(tools, source, "-show_format", "-show_streams", "-of", "json")


def packets(tools: Binaries, source: Path, stream: int) -> tuple[str, ...]:
    """Return the command that prints ``pts,dts,duration,flags`` of a stream's packets."""
    entries = "packet=pts_time,dts_time,duration_time,flags"
    chosen = ("-select_streams", str(stream), "-show_entries", entries, "-of", "csv=p=0")
    return _probing(tools, source, *chosen)


def copy_pieces(tools: Binaries, cut: Cut, plan: Copy) -> tuple[str, ...]:
    """Return the command that cuts at the plan's keyframes without encoding, in one pass."""
    times = ",".join(f"{at:.6f}" for at in plan.marks) or f"{NEVER:.0f}"
    return _pieces(tools, cut, {"c": "copy", "segment_times": times})


def encode_pieces(tools: Binaries, cut: Cut, plan: Encode) -> tuple[str, ...]:
    """Return the command that encodes once with a keyframe at every multiple of the step."""
    options: dict[str, Any] = {
        **_X264,
        "crf": 20,
        "bf": 0,
        "fps_mode": "passthrough",  # the default repeats frames of variable rate video
        "c:a": cut.audio,
        "force_key_frames": f"expr:gte(t,n_forced*{plan.step:.6f})",
        "segment_time": f"{plan.step:.6f}",
        "segment_time_delta": 0.02,
    }
    if cut.odd:
        options["vf"] = "pad=ceil(iw/2)*2:ceil(ih/2)*2"
    return _pieces(tools, cut, options)


def clip(tools: Binaries, picture: Picture, samples: Sequence[Sample]) -> tuple[str, ...]:
    """Return the command that joins samples into one silent ``CLIP``."""
    parts = [_sample(picture, sample) for sample in samples]
    joined = parts[0] if len(parts) == 1 else ffmpeg.concat(*parts, v=1, a=0)
    made = ffmpeg.output(joined, CLIP, an=None, **_X264, crf=26, movflags="+faststart", f="mp4")
    return _converting(tools, made)


def poster(tools: Binaries, picture: Picture, look: Look) -> tuple[str, ...]:
    """Return the command that writes one picture to the look's file and its luma to stdout."""
    options: dict[str, Any] = {"skip_frame": "nokey"} if look.keyframes else {}
    options |= {"ss": f"{look.at:.3f}", "noaccurate_seek": None, **_CONFINED}
    typical = (
        ffmpeg.input(f"file:{picture.source}", **options)[str(picture.stream)]
        .filter("thumbnail", look.frames)
        .filter("scale", picture.size.width, picture.size.height)
        .filter("setsar", 1)
        .filter("format", "yuv420p")
        .filter("signalstats")
        .filter("metadata", mode="print", file="pipe:1")
        .filter("setpts", 0)  # a keyframe before the seek point has a negative time: dropped
    )
    options = {"frames:v": 1, "q:v": 3, "update": 1, "f": "image2"}
    made = ffmpeg.output(typical, look.name, **options)
    return (tools.ffmpeg, *_QUIET, *made.get_args())


def _probing(tools: Binaries, source: Path, *what: str) -> tuple[str, ...]:
    confined = (part for key, value in _CONFINED.items() for part in (f"-{key}", value))
    return (tools.ffprobe, "-v", "error", *confined, *what, f"file:{source}")


def _pieces(tools: Binaries, cut: Cut, options: dict[str, Any]) -> tuple[str, ...]:
    opened = ffmpeg.input(f"file:{cut.source}", **_CONFINED)
    if cut.container == "mp4":
        options["segment_format_options"] = "movflags=+faststart"
    made = ffmpeg.output(
        *(opened[str(index)] for index in cut.streams),
        f"piece-%04d{cut.suffix}",
        f="segment",
        segment_format=cut.container,
        segment_start_number=1,
        segment_list=SEGMENTS,
        segment_list_type="csv",
        reset_timestamps=1,
        map_chapters=-1,  # chapter text would stretch the pieces
        **options,
    )
    return _converting(tools, made)


def _sample(picture: Picture, sample: Sample) -> Opaque:
    # One decoder thread for each sample: more would cost memory several times over, for nothing.
    options: dict[str, Any] = {"t": f"{sample.length:.3f}", "threads": 1, **_CONFINED}
    if sample.at > 0:
        options["ss"] = f"{sample.at:.3f}"
    if sample.fast:
        options["noaccurate_seek"] = None
    return (
        ffmpeg.input(f"file:{picture.source}", **options)[str(picture.stream)]
        .filter("scale", picture.size.width, picture.size.height)
        .filter("fps", 25)
        .filter("setsar", 1)
        .filter("setpts", "PTS-STARTPTS")
    )


def _converting(tools: Binaries, made: Opaque) -> tuple[str, ...]:
    return (tools.ffmpeg, *_QUIET, *_PROGRESS, *made.get_args())
