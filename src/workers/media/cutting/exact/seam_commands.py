"""The command lines of an exact cut: divide the film, encode a part, join the parts, look again.

Every file but the source is one of our own, below a folder of our own, and named by us.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from workers.media.cutting.exact.seams import Part
from workers.media.tools import ffmpeg
from workers.media.tools.binaries import Binaries

FILM = "film-{:04d}.mp4"
SOUND = "sound-{}.mp4"
KEYS = 30  # frames from one keyframe to the next of what we encode
_OWN_FORMATS = "concat,mov"
_DECODING = ("-threads", "2")  # more would hold more frames in memory, for every input
_GOOD = ("-preset", "veryfast", "-crf", "18")  # seen beside copied frames: a little better
_PLAIN = ("-c:v", "libx264", "-preset", "veryfast", "-crf", "20", "-pix_fmt", "yuv420p")


@dataclass(frozen=True, slots=True)
class Division:
    """What to divide, and where; without an ``encoder`` the picture is copied."""

    source: Path
    picture: int  # absolute index
    sounds: tuple[int, ...]
    marks: tuple[float, ...]  # seconds
    clock: int  # ticks a second
    sound: str = "copy"  # its encoder
    encoder: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Joining:
    """The parts that make one piece, and the stretch of every sound track that goes with them."""

    name: str  # of the piece
    listing: str  # names the parts; none when nothing is to be seen
    sounds: tuple[bool, ...]  # for each track, whether it is the one that players choose
    zero: float  # the second of the film at which the piece begins
    length: float  # seconds
    late: float  # seconds until the picture begins
    last: tuple[int, int]  # ticks: when the last frame is shown, and how long
    clock: int


def packets(tools: Binaries, source: Path, stream: int) -> tuple[str, ...]:
    """Return the command that prints ``pts,dts,duration,flags`` in ticks."""
    entries = "packet=pts,dts,duration,flags"
    chosen = ("-select_streams", str(stream), "-show_entries", entries, "-of", "csv=p=0")
    return ffmpeg.probing(tools, source, *chosen)


def details(tools: Binaries, source: Path, stream: int) -> tuple[str, ...]:
    """Return the command that prints as JSON how a stream was encoded."""
    told = "codec_name,profile,level,pix_fmt,field_order,time_base"
    colours = "color_range,color_space,color_transfer,color_primaries"
    entries = ("-show_entries", f"stream={told},{colours}", "-of", "json")
    return ffmpeg.probing(tools, source, "-select_streams", str(stream), *entries)


def divide(tools: Binaries, division: Division) -> tuple[str, ...]:
    """Return the command that divides the picture and takes the sound tracks out, in one pass.

    Nothing is sought: in a transport stream that loses frames.
    """
    marks = ",".join(f"{mark:.6f}" for mark in division.marks) or f"{ffmpeg.NEVER:.0f}"
    picture: tuple[str, ...] = ("-c:v", "copy")
    if division.encoder:
        clock = ("-fps_mode", "passthrough", "-enc_time_base", f"1:{division.clock}")
        picture = (*division.encoder, *clock, "-force_key_frames", marks)
    segments: tuple[str, ...] = ("-f", "segment", "-segment_format", "mp4", "-segment_times", marks)
    options = f"video_track_timescale={division.clock}:write_tmcd=0"
    segments += ("-reset_timestamps", "1", "-segment_format_options", options)
    # Else all is delayed by the film's B-frames, and keyframes that are near each other mistaken.
    segments += ("-avoid_negative_ts", "disabled")
    made = ["-map", f"0:{division.picture}", *picture, "-map_chapters", "-1"]
    made += [*segments, "film-%04d.mp4"]
    for index, sound in enumerate(division.sounds):
        made += ["-map", f"0:{sound}", "-c:a", division.sound, "-map_chapters", "-1"]
        made += ["-f", "mp4", SOUND.format(index)]
    return ffmpeg.converting(tools, *ffmpeg.opened(division.source), *made)


def plain_encoder(*, odd: bool, colours: Sequence[str]) -> tuple[str, ...]:
    """Return how a whole film is encoded when it is not worth or not possible to copy."""
    even = ("-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2") if odd else ()
    return (*even, *_PLAIN, "-bf", "0", "-x264-params", "scenecut=0", *colours)


@dataclass(frozen=True, slots=True)
class Stitch:
    """A part to be made: where, and if it is encoded, under which id of its parameter sets."""

    part: Part
    made: str
    id: int = 0


def stitch(
    tools: Binaries, stitches: Sequence[Stitch], like: Sequence[str], clock: int
) -> tuple[str, ...]:
    """Return the command that makes all parts of a piece: some encoded, some copied."""
    given: list[str] = []
    made: list[str] = []
    for turn, one in enumerate(stitches):
        # The turn of the picture stays written beside it.
        plain = ("-noautorotate", *_DECODING)
        given += ffmpeg.opened(Path(FILM.format(one.part.segment)), *plain)
        how = _encoded(one, like, clock) if one.part.encoded else _copied(one)
        made += ["-map", f"{turn}:v:0", *how, "-map_metadata", "-1", *_mp4(clock), one.made]
    return ffmpeg.converting(tools, *given, *made)


def _encoded(one: Stitch, like: Sequence[str], clock: int) -> list[str]:
    part = one.part
    frames = f"trim=start_frame={part.first}:end_frame={part.stop},setpts=PTS-STARTPTS"
    keys = f"keyint={KEYS}:min-keyint={KEYS}:scenecut=0:open-gop=0"
    made = ["-vf", frames, "-c:v", "libx264", *_GOOD, *like, "-bf", "0", "-threads", "2"]
    made += ["-x264-params", f"sps-id={one.id}:{keys}"]
    made += ["-fps_mode", "passthrough", "-enc_time_base", f"1:{clock}"]
    return [*made, "-bsf:v", f"setts=pts=PTS:dts=DTS-{part.lead}"]


def _copied(one: Stitch) -> list[str]:
    return ["-c", "copy", "-frames:v", str(one.part.count)]


def listing(parts: Sequence[tuple[str, int]], clock: int) -> str:
    """Return the list of the parts' names, each with the ticks until the next begins."""
    lines = [f"file {name}\nduration {ticks / clock:.6f}" for name, ticks in parts]
    return "\n".join(("ffconcat version 1.0", *lines, ""))


def join(tools: Binaries, joining: Joining) -> tuple[str, ...]:
    """Return the command that makes the piece: the parts one after another, and the sound."""
    given: list[str] = []
    made: list[str] = []
    if joining.listing:
        late = ("-itsoffset", f"{joining.late:.6f}") if joining.late else ()
        given += (*late, *ffmpeg.opened(Path(joining.listing), "-f", "concat", own=_OWN_FORMATS))
        shown, lasts = joining.last
        made += ["-map", "0:v:0", "-bsf:v", _lasting(f"if(eq(PTS\\,{shown})\\,{lasts}\\,DURATION)")]
    first = 1 if joining.listing else 0
    for index, is_default in enumerate(joining.sounds):
        seek = ("-seek_timestamp", "1", "-ss", f"{joining.zero:.6f}")
        given += (*seek, *ffmpeg.opened(Path(SOUND.format(index))))
        made += ["-map", f"{index + first}:a:0"]
        made += [f"-map_metadata:s:a:{index}", f"{index + first}:s:a:0"]
        # Alone in its file every track is the default.
        made += [f"-disposition:a:{index}", "+default" if is_default else "-default"]
    given += ffmpeg.opened(Path(FILM.format(0)))  # has what is written beside the picture
    beside = len(joining.sounds) + first
    made += ["-map_metadata:s:v:0", f"{beside}:s:v:0"] if joining.listing else []
    length = f"{joining.length:.6f}"
    made += ["-bsf:a", _lasting(f"min(DURATION\\,max(1\\,floor({length}/TB)-PTS))")]
    made += ["-c", "copy", "-t", length, "-movflags", "+faststart"]
    made += ["-map_metadata", str(beside), "-map_chapters", "-1"]
    return ffmpeg.converting(tools, *given, *made, *_mp4(joining.clock), joining.name)


def _lasting(ticks: str) -> str:
    """Return the filter that says how long packets last, and leaves their times as they are."""
    return f"setts=pts=PTS:dts=DTS:duration={ticks}"


def examine(tools: Binaries, piece: str) -> tuple[str, ...]:
    """Return the command that prints when each packet of the picture is shown, and the length."""
    entries = "packet=pts:stream=time_base:format=duration"
    chosen = ("-select_streams", "v:0", "-show_entries", entries, "-of", "compact")
    return ffmpeg.probing(tools, Path(piece), *chosen)


def decode(
    tools: Binaries, piece: str, stretches: Sequence[tuple[float, int]], clock: int
) -> tuple[str, ...]:
    """Return the command that decodes stretches and prints when each frame of them is shown.

    Each stretch is the second of its keyframe and the number of its frames. The loop filter moves
    no frame, and leaving it out saves a third of the time.
    """
    given: list[str] = ["-xerror"]
    made: list[str] = []
    for turn, (start, count) in enumerate(stretches):
        seek = ("-noaccurate_seek", "-ss", f"{start + 0.001:.6f}") if start else ()
        plain = ("-skip_loop_filter", "all", "-noautorotate", *_DECODING)
        given += ffmpeg.opened(Path(piece), *seek, *plain)
        frames = f"trim=end_frame={count},scale=16:16:flags=neighbor"
        made += ["-map", f"{turn}:v:0", f"-filter:v:{turn}", frames]
    made += ["-copyts", "-fps_mode", "passthrough", "-enc_time_base", f"1:{clock}"]
    return ffmpeg.converting(tools, *given, *made, "-f", "framecrc", "pipe:1")


def _mp4(clock: int) -> tuple[str, ...]:
    scales = ("-video_track_timescale", str(clock), "-movie_timescale", str(clock))
    return (*scales, "-write_tmcd", "0", "-f", "mp4")
