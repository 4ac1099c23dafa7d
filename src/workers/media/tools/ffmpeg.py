"""The ffmpeg and ffprobe command lines we use; the one file that knows ffmpeg-python.

The library only builds commands here: running them, with deadlines and kills, is ``tool``'s.
Every input is confined to files in formats that cannot name other files.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ffmpeg

from workers.media.tools import limits
from workers.media.tools.binaries import Binaries

FORMATS = "mov,matroska,webm,mp3,aac,ogg,wav,flac,mpegts,avi,flv"
_CONFINED = {"protocol_whitelist": "file", "format_whitelist": FORMATS, **limits.FLAGS}
_QUIET = ("-nostdin", "-hide_banner", "-v", "error", "-nostats", "-y")
_PROGRESS = ("-progress", "pipe:1", "-stats_period", "0.5")
_X264 = {"c:v": "libx264", "preset": "veryfast", "pix_fmt": "yuv420p"}
PIECE = "piece-%04d"  # the name of a pass's piece, counted from 1
SEGMENTS = "segments.csv"  # the segment muxer's own record of its pieces
NEVER = 1e9  # seconds; a cut time that no file reaches
# Microseconds that sound is held back for the picture: the encoder looks some frames ahead, which
# are many seconds of a film of one frame a second. The default lets sound into earlier pieces.
PATIENCE = 60_000_000

# What is asked about a file, by section. Never its tags: they say what they like, at any length.
_STREAM = "index,codec_type,codec_name,width,height,start_time,duration,sample_aspect_ratio,pix_fmt"
_DESCRIPTION = (
    "format=format_name,size,start_time,duration"
    f":stream={_STREAM}:stream_disposition=attached_pic,default:stream_side_data=rotation"
    ":chapter=start_time"
)


@dataclass(frozen=True, slots=True)
class Cut:
    """One source to be cut: which streams to take and what to call the pieces."""

    source: Path
    streams: tuple[int, ...]  # absolute indexes, the picture first
    container: str  # muxer name
    suffix: str
    audio: str = "copy"  # encoder for sound, in an encoding pass
    pixels: str = "yuv420p"
    filters: tuple[str, ...] = ()  # of the picture, in an encoding pass
    rate: float | None = None  # bits a second that the picture may take
    ahead: float = 2.0  # seconds that it may be ahead of its rate


@dataclass(frozen=True, slots=True)
class Course:
    """The way through one pass, in seconds of the file's clock."""

    marks: tuple[float, ...] = ()  # the muxer cuts at the first keyframe from each on
    keys: tuple[float, ...] = ()  # frames to be encoded as keyframes
    until: float | None = None  # where to stop
    kept: tuple[str, ...] = ()  # filters that drop what is not wanted
    pace: int | None = None  # frames a second, where filters leave no word of how long one lasts


def describe(tools: Binaries, source: Path) -> tuple[str, ...]:
    """Return the command that prints format, streams and chapters as JSON, without their tags."""
    return probing(tools, source, "-show_entries", _DESCRIPTION, "-of", "json")


def packets(
    tools: Binaries, source: Path, stream: int | None = None, *, since: float | None = None
) -> tuple[str, ...]:
    """Return the command that prints ``stream,pts,dts,duration,size,flags`` of packets."""
    entries = "packet=stream_index,pts_time,dts_time,duration_time,size,flags"
    chosen: tuple[str, ...] = () if stream is None else ("-select_streams", str(stream))
    chosen += () if since is None else ("-read_intervals", f"{since:.3f}%")
    return probing(tools, source, *chosen, "-show_entries", entries, "-of", "csv=p=0")


def copy_pieces(tools: Binaries, cut: Cut, course: Course) -> tuple[str, ...]:
    """Return the command that cuts at keyframes without encoding, in one pass."""
    return _pieces(tools, cut, course, {"c": "copy"})


def encode_pieces(tools: Binaries, cut: Cut, course: Course) -> tuple[str, ...]:
    """Return the command that encodes once, with a keyframe at every cut."""
    options: dict[str, Any] = {
        **_X264,
        "pix_fmt": cut.pixels,
        "crf": 20,
        "bf": 0,
        "fps_mode": "passthrough",  # the default repeats frames of variable rate video
        "enc_time_base": "1:90000",  # the default rounds their times
        "c:a": cut.audio,
        "segment_time_delta": 0.0,
        "max_interleave_delta": PATIENCE,
    }
    if course.keys:
        options["force_key_frames"] = _listed(course.keys)
    if course.pace is not None:
        options["bsf:v"] = f"setts=pts=PTS:dts=DTS:duration=round(1/({course.pace}*TB))"
    if cut.rate is not None:
        options |= {"maxrate": int(cut.rate), "bufsize": int(cut.rate * cut.ahead)}
    chain = (*course.kept, *cut.filters)
    if chain:
        options["vf"] = ",".join(chain)
    return _pieces(tools, cut, course, options)


def scenes(tools: Binaries, source: Path, stream: int, threshold: float) -> tuple[str, ...]:
    """Return the command that prints ``lavfi.scd.time=`` for each change of scene."""
    seen = f"scale=320:-2,scdet=threshold={threshold:.3f},metadata=mode=print:key=lavfi.scd.time"
    return _listening(tools, source, stream, {"vf": f"{seen}:file=-"})


def silences(
    tools: Binaries, source: Path, stream: int, quiet: tuple[float, float]
) -> tuple[str, ...]:
    """Return the command that prints where it is quiet: under so many dB for so many seconds."""
    noise, length = quiet
    chain = f"silencedetect=noise={noise:.3f}dB:duration={length:.3f},ametadata=mode=print"
    return _listening(tools, source, stream, {"af": f"{chain}:file=-"})


def _pieces(tools: Binaries, cut: Cut, course: Course, options: dict[str, Any]) -> tuple[str, ...]:
    opened = ffmpeg.input(f"file:{cut.source}", **_CONFINED)
    if cut.container == "mp4":
        # The time code of the film's beginning would be written into every piece.
        options["segment_format_options"] = "movflags=+faststart:write_tmcd=0"
    if course.until is not None:
        options["to"] = f"{course.until:.6f}"
    made = ffmpeg.output(
        *(opened[str(index)] for index in cut.streams),
        f"{PIECE}{cut.suffix}",
        f="segment",
        segment_format=cut.container,
        segment_start_number=1,
        segment_list=SEGMENTS,
        segment_list_type="csv",
        segment_times=_listed(course.marks) or f"{NEVER:.0f}",
        reset_timestamps=1,
        avoid_negative_ts="disabled",  # it would delay the first piece by its B-frames
        map_chapters=-1,  # chapter text would stretch the pieces
        **options,
    )
    return converting(tools, *made.get_args())


def _listening(
    tools: Binaries, source: Path, stream: int, filters: dict[str, str]
) -> tuple[str, ...]:
    opened = ffmpeg.input(f"file:{source}", **_CONFINED)
    made = ffmpeg.output(opened[str(stream)], "-", f="null", **filters)
    return converting(tools, *made.get_args())


def _listed(moments: Sequence[float]) -> str:
    return ",".join(f"{at:.6f}" for at in moments)


def decode(tools: Binaries, source: Path) -> tuple[str, ...]:
    """Return the command that decodes all of a file for nothing, and ends at the first damage."""
    everything = ("-map", "0:v?", "-map", "0:a?", "-f", "null", "-")
    return converting(tools, "-xerror", *opened(source), *everything)


# What the exact cut builds its commands from (``seam_commands``): each part is said once, here.


def opened(source: Path, *options: str, own: str = FORMATS) -> tuple[str, ...]:
    """Return an input, confined as every input is; ``own`` are the formats of a file of ours."""
    confined = [part for key, value in limits.FLAGS.items() for part in (f"-{key}", value)]
    confined += ["-protocol_whitelist", "file", "-format_whitelist", own]
    return (*confined, *options, "-i", f"file:{source}")


def converting(tools: Binaries, *arguments: str) -> tuple[str, ...]:
    """Return the command that runs ffmpeg quietly, saying only how far it is."""
    return (tools.ffmpeg, *_QUIET, *_PROGRESS, *arguments)


def quietly(tools: Binaries, *arguments: str) -> tuple[str, ...]:
    """Return the command that runs ffmpeg without a word of its own on stdout."""
    return (tools.ffmpeg, *_QUIET, *arguments)


def probing(tools: Binaries, source: Path, *what: str) -> tuple[str, ...]:
    """Return the command that asks ffprobe."""
    confined = (part for key, value in _CONFINED.items() for part in (f"-{key}", value))
    return (tools.ffprobe, "-v", "error", *confined, *what, f"file:{source}")
