"""The command lines of a preview: a sample, the clip of them, a poster, a sheet, a moving picture.

One sample at a time: each open input keeps a decoder's pictures in memory, and five of them more
than a preview's worker is allowed.
"""

from dataclasses import dataclass
from pathlib import Path

from workers.media.previews import posters, waveform
from workers.media.previews.posters import Look
from workers.media.previews.samples import RATE, Sample, Size
from workers.media.previews.wishes import Kind
from workers.media.tools import ffmpeg
from workers.media.tools.binaries import Binaries

SAMPLES, PARTS = "parts.txt", "part-{:02d}.mp4"
KEYS, FRAMES = "keys.mov", "frames.mkv"
OWN_FORMATS = "concat,mov"
# What these hold keeps its turn in a .mov, which a Matroska file loses.
KEPT_IN_MOV = frozenset({"h264", "hevc", "mpeg4", "vp9", "av1", "mjpeg", "prores"})
ANIMATION_RATE = 10  # pictures a second

_LISTED = "metadata=add:key=shown:value=1,metadata=print:key=shown:file=-"
_TWO = ("-threads", "2")  # more would cost memory several times over, for little
_ONE_BY_ONE = ("-fps_mode", "passthrough")
_X264 = ("-an", "-c:v", "libx264", "-preset", "veryfast", "-crf", "26", "-pix_fmt", "yuv420p")
_MP4 = ("-movflags", "+faststart", "-f", "mp4")
_JPEG = ("-frames:v", "1", "-q:v", "3", "-update", "1", "-f", "image2")
# Chapters would make every sample as long as the film, and tags are the film's, not ours.
_PICTURE_ALONE = ("-map_chapters", "-1", "-map_metadata", "-1")
_KEYS_ONLY = ("-discard", "nokey", "-skip_frame", "nokey")


@dataclass(frozen=True, slots=True)
class Picture:
    """The picture of a film."""

    source: Path
    stream: int  # absolute index
    codec: str = ""
    container: str = ""  # ffprobe's names of it

    @property
    def clock(self) -> str:
        """Return the seconds of a packet taken out, in the words of the filter that picks it."""
        return "(pts*tb)" if self._is_mov else "((pts-startpts)*tb)"

    @property
    def shown(self) -> str:
        """Return when a keyframe is shown, as ``setts`` says it.

        Of a .mov whose other frames are passed over, only the decoding time is true: the offsets
        from it are counted by the frames read. That of the first packet holds for keyframes.
        """
        return "DTS+STARTPTS-STARTDTS" if self._is_mov else "PTS"

    @property
    def _is_mov(self) -> bool:
        return "mov" in self.container.split(",")


def sample(
    tools: Binaries, picture: Picture, taken: Sample, size: Size, name: str
) -> tuple[str, ...]:
    """Return the command that makes one sample, its last picture held should there be too few.

    It prints ``pts_time:`` of each frame decoded, counted from the sample's moment.
    """
    how = ["-ss", f"{taken.at:.3f}"] if taken.at > 0 else []
    how += ["-noaccurate_seek"] if taken.reach else []
    how += ["-t", f"{taken.length + 0.1:.3f}"]
    chain = f"{_clip_chain(size)},tpad=stop=-1:stop_mode=clone"
    return _filtered(tools, picture, how, chain, *_encoded(taken.frames, name))


def whole(tools: Binaries, picture: Picture, size: Size, frames: int, name: str) -> tuple[str, ...]:
    """Return the command that makes a clip of all of a short film, up to so many frames."""
    return _filtered(tools, picture, [], _clip_chain(size), *_encoded(frames, name))


def joined(tools: Binaries, name: str) -> tuple[str, ...]:
    """Return the command that joins the parts that ``SAMPLES`` lists."""
    given = ffmpeg.opened(Path(SAMPLES), "-f", "concat", own=OWN_FORMATS)
    return ffmpeg.quietly(tools, *given, "-c", "copy", *_MP4, name)


def poster(tools: Binaries, picture: Picture, look: Look, size: Size) -> tuple[str, ...]:
    """Return the command that writes one picture to the look's file and its luma to stdout."""
    how = ["-ss", f"{look.at:.3f}", "-noaccurate_seek"] if look.at > 0 else []
    how += _KEYS_ONLY if look.keyframes else ()
    seen = f"scale={size.width}:{size.height},setsar=1,format=yuv420p,signalstats"
    bright = f"metadata=select:key=lavfi.signalstats.YAVG:value={posters.DARK}:function=greater"
    found = f"thumbnail={look.frames},{seen}" if look.frames else f"{seen},{bright}"
    # A keyframe before the seek point has a negative time: it would be dropped.
    chain = f"{found},metadata=mode=print:file=-,setpts=0"
    return _filtered(tools, picture, how, chain, *_JPEG, look.name)


def keyframes(tools: Binaries, picture: Picture, wanted: str) -> tuple[str, ...]:
    """Return the command that takes out keyframes undecoded, and lists them as ``framecrc``.

    ``wanted`` is the expression that picks them, by the picture's ``clock``. Nothing else of the
    film is read.
    """
    # Without setts, ffmpeg takes the gaps between keyframes for faults and mends their times. It
    # sets both times: a first frame decoded before time 0 would not be shown.
    drop = f"setts=ts={picture.shown},noise=drop='if(key,not({wanted}),1)'"
    copied = ("-map", f"0:{picture.stream}", *_PICTURE_ALONE, "-c", "copy", "-bsf:v", drop)
    name = keys_name(picture)
    form = "mov" if name == KEYS else "matroska"
    given = ffmpeg.opened(picture.source, "-discard", "nokey")
    return ffmpeg.quietly(tools, *given, *copied, "-f", form, name, *copied, "-f", "framecrc", "-")


def keys_name(picture: Picture) -> str:
    """Return the name of the file that keyframes are taken out into."""
    return KEYS if picture.codec in KEPT_IN_MOV else "keys.mkv"


def frames(tools: Binaries, picture: Picture, wanted: str, size: Size) -> tuple[str, ...]:
    """Return the command that decodes all, keeps the frames wanted, small, and lists them."""
    chain = f"select='{wanted}',{_LISTED},scale={size.width}:{size.height},setsar=1"
    made = (*_ONE_BY_ONE, "-c:v", "ffv1", "-f", "matroska", FRAMES)
    return _filtered(tools, picture, [], chain, *made)


def sheet(
    tools: Binaries, source: str, shape: tuple[int, int], size: Size, name: str
) -> tuple[str, ...]:
    """Return the command that lays the frames of a file of ours out in rows, and lists them."""
    columns, rows = shape
    chain = f"{_LISTED},scale={size.width}:{size.height},setsar=1,tile={columns}x{rows}"
    given = ffmpeg.opened(Path(source), *_TWO)
    return ffmpeg.quietly(tools, *given, "-vf", chain, *_ONE_BY_ONE, *_JPEG, name)


def animation(tools: Binaries, clip: Path, kind: Kind, size: Size, name: str) -> tuple[str, ...]:
    """Return the command that makes a moving picture of the clip."""
    small = f"{_paced(ANIMATION_RATE)},scale={size.width}:{size.height}"
    if kind == "webp":
        how = ["-vf", small, "-c:v", "libwebp_anim", "-quality", "60", "-compression_level", "4"]
    else:
        palette = "split[a][b];[a]palettegen=max_colors=128:stats_mode=diff[p]"
        how = ["-vf", f"{small},{palette};[b][p]paletteuse=dither=bayer:bayer_scale=3"]
    return ffmpeg.quietly(tools, *ffmpeg.opened(clip), *how, "-loop", "0", "-f", kind, name)


def loudness(tools: Binaries, source: Path, stream: int, samples: int) -> tuple[str, ...]:
    """Return the command that prints the peak of every so many samples."""
    chain = f"aformat=channel_layouts=mono,aresample={waveform.CLOCK},asetnsamples={samples}:p=0"
    chain += ",astats=metadata=1:reset=1:measure_perchannel=none:measure_overall=Peak_level"
    chain += ",ametadata=print:key=lavfi.astats.Overall.Peak_level:file=-"
    made = ("-map", f"0:{stream}", "-af", chain, "-f", "null", "-")
    return ffmpeg.quietly(tools, *ffmpeg.opened(source), *made)


def _clip_chain(size: Size) -> str:
    small = f"scale={size.width}:{size.height}:flags=bilinear"
    return f"{_LISTED},setpts=PTS-STARTPTS,{_paced(RATE)},{small},setsar=1"


def _paced(rate: int) -> str:
    """Return the filter that shows so many pictures a second, and the last for its time or more.

    By itself it drops a film that lasts for less than half a picture.
    """
    return f"fps={rate}:eof_action=pass"


def _encoded(frames: int, name: str) -> tuple[str, ...]:
    return (*_TWO, *_X264, "-frames:v", str(frames), *_MP4, name)


def _filtered(
    tools: Binaries, picture: Picture, how: list[str], chain: str, *made: str
) -> tuple[str, ...]:
    given = ffmpeg.opened(picture.source, *_TWO, *how)
    only = ("-map", f"0:{picture.stream}", *_PICTURE_ALONE, "-filter_threads", "1")
    return ffmpeg.quietly(tools, *given, *only, "-vf", chain, *made)
