"""What a file holds: ffprobe's answer, typed.

ffprobe is asked with the same confinement as ffmpeg, so what passes here can be worked on: text
called ``.mp4``, playlists and pictures do not.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from workers.media import settings
from workers.media.faults import fault, from_ffmpeg
from workers.media.files.packets import scan
from workers.media.tools import ffmpeg, limits, tool
from workers.media.tools.binaries import Binaries
from workers.processor import JobContext

PATIENCE = 30.0  # seconds for one look at one file
LATE = 1.0  # seconds; a film whose clock begins later may count its length from zero
COUNTING = frozenset({"matroska", "mp4"})  # the containers whose length may be that
NEAR = 0.5  # seconds by which the packets of the picture may end after the film
MOST_LINES = 50_000  # of ffprobe's answer: a hundred streams, and chapters by the thousand


@dataclass(frozen=True, slots=True)
class Video:
    """The picture; width and height as displayed, turned and with square pixels."""

    index: int
    codec: str
    width: int
    height: int
    start: float  # seconds after the file's beginning
    duration: float
    odd: bool = False  # a stored side has an odd number of pixels
    pixels: str = ""  # their format, such as yuv420p
    is_timed: bool = False  # the file says how long the picture itself is


@dataclass(frozen=True, slots=True)
class Sound:
    """One sound track."""

    index: int
    codec: str
    is_default: bool = False  # the one that players choose


@dataclass(frozen=True, slots=True)
class Media:
    """A file that holds picture, sound or both."""

    path: Path
    size: int
    duration: float  # seconds, of the longest stream
    origin: float  # the timestamp the file begins with
    video: Video | None = None
    sounds: tuple[Sound, ...] = field(default=())
    chapters: tuple[float, ...] = ()  # the seconds at which they begin
    container: str = ""  # ffprobe's names of it, such as mov,mp4,m4a,3gp,3g2,mj2

    @property
    def kind(self) -> str:
        """Say ``video`` or ``audio``."""
        return "audio" if self.video is None else "video"


class _SideData(msgspec.Struct):
    rotation: float = 0


class _Stream(msgspec.Struct):
    index: int
    codec_type: str = ""
    codec_name: str = ""
    width: int = 0
    height: int = 0
    start_time: str = ""
    duration: str = ""
    sample_aspect_ratio: str = ""
    pix_fmt: str = ""
    disposition: dict[str, int] = {}
    side_data_list: list[_SideData] = []

    @property
    def is_picture(self) -> bool:
        """A cover image is a video stream to ffmpeg, not to us."""
        return self.codec_type == "video" and not self.disposition.get("attached_pic")


class _Chapter(msgspec.Struct):
    start_time: str = ""


class _Format(msgspec.Struct):
    format_name: str = ""
    size: str = "0"
    start_time: str = ""
    duration: str = ""


class _Answer(msgspec.Struct):
    streams: list[_Stream] = []
    chapters: list[_Chapter] = []
    format: _Format = msgspec.field(default_factory=_Format)


class _Lines:
    """What ffprobe says, in bounds."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.lines: list[str] = []

    def add(self, line: str) -> None:
        """Keep a line; RefusedError ``not_media`` when there is no end of them."""
        if len(self.lines) >= MOST_LINES:
            raise fault("not_media", f"{self._name} has more chapters than any film")
        self.lines.append(line)


async def probe(tools: Binaries, path: Path, context: JobContext) -> Media:
    """Return what the file holds.

    Raises:
        RefusedError: ``not_media``, ``no_streams``, and what exceeds the ``limits``.
        TransientError: ``timeout``, and what else ffprobe stumbled over.
    """
    answer = _Lines(path.name)
    call = tool.Call(ffmpeg.describe(tools, path), limit=PATIENCE)
    finished = await tool.run(call, context, answer.add)
    limits.hold_complaint(path.name, finished.complaint)
    if finished.code != 0:
        doing = f"{path.name} cannot be read as video or sound"
        raise from_ffmpeg(doing, finished.code, finished.complaint)
    media = understand("\n".join(answer.lines), path)
    if media.duration <= 0:
        media = await _measured(tools, media, context)
    elif media.origin > LATE and COUNTING & set(media.container.split(",")):
        media = await _played(tools, media, context)
    limits.hold_duration(path.name, media.duration, settings.read(context.options).max_duration)
    return media


def understand(answer: str, path: Path) -> Media:
    """Return the file that ffprobe's JSON describes.

    Raises:
        RefusedError: ``no_streams`` when it has neither picture nor sound.
    """
    said = msgspec.json.decode(answer, type=_Answer)
    origin = _number(said.format.start_time)
    longest = _longest(said, origin)
    pictures = [stream for stream in said.streams if stream.is_picture and stream.height]
    sounds = [stream for stream in said.streams if stream.codec_type == "audio"]
    if not pictures and not sounds:
        raise fault("no_streams", f"{path.name} holds neither picture nor sound")
    return Media(
        path=path,
        size=int(_number(said.format.size)),
        duration=longest,
        origin=origin,
        video=_video(pictures[0], origin, longest) if pictures else None,
        sounds=tuple(
            Sound(sound.index, sound.codec_name, bool(sound.disposition.get("default")))
            for sound in sounds
        ),
        chapters=tuple(_number(chapter.start_time) - origin for chapter in said.chapters),
        container=said.format.format_name,
    )


def _video(stream: _Stream, origin: float, longest: float) -> Video:
    start = _number(stream.start_time, origin) - origin
    width, height = stream.width * _pixel_shape(stream.sample_aspect_ratio), stream.height
    turned = any(round(side.rotation) % 180 == 90 for side in stream.side_data_list)
    shown = (height, round(width)) if turned else (round(width), height)
    return Video(
        index=stream.index,
        codec=stream.codec_name,
        width=shown[0],
        height=shown[1],
        start=start,
        duration=_number(stream.duration) or max(0.0, longest - start),
        odd=bool(stream.width % 2 or stream.height % 2),
        pixels=stream.pix_fmt,
        is_timed=_number(stream.duration) > 0,
    )


def _longest(said: _Answer, origin: float) -> float:
    """Return how long picture and sound are: subtitles that go on after them do not count."""
    whole = _number(said.format.duration)
    kinds = {"video", "audio"}
    films = [one for one in said.streams if one.is_picture or one.codec_type == "audio"]
    told = [(_number(one.start_time, origin), _number(one.duration)) for one in films]
    has_others = any(one.codec_type not in kinds for one in said.streams)
    if not has_others or not all(length > 0 for _, length in told):
        return whole
    ends = max((start + length for start, length in told), default=whole + origin) - origin
    return ends if ends < whole - NEAR else whole


async def _measured(tools: Binaries, media: Media, context: JobContext) -> Media:
    """Find the end from the packets: recordings of a browser do not write it down."""
    stream = media.video.index if media.video else media.sounds[0].index
    seen = await scan(tools, media.path, stream, context, origin=media.origin)
    video = media.video and replace(media.video, duration=max(0.0, seen.end - media.video.start))
    return replace(media, duration=seen.end, video=video)


async def _played(tools: Binaries, media: Media, context: JobContext) -> Media:
    """Take off a length what lies before the beginning, unless the packets need all of it."""
    stream = media.video.index if media.video else media.sounds[0].index
    seen = await scan(tools, media.path, stream, context, origin=media.origin)
    length = media.duration - media.origin
    if length <= 0 or seen.end > length + NEAR:
        return media
    video = media.video and replace(
        media.video, duration=max(0.0, min(media.video.duration, length - media.video.start))
    )
    return replace(media, duration=length, video=video)


def _number(text: str, otherwise: float = 0.0) -> float:
    try:
        return float(text)
    except ValueError:  # absent, or N/A
        return otherwise


def _pixel_shape(ratio: str) -> float:
    wide, _, high = ratio.partition(":")
    return _number(wide) / _number(high) if _number(wide) and _number(high) else 1.0
