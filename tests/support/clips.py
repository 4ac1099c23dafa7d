"""Small clips of every temper, made when asked for and kept for the other processes.

Every frame carries its number in its pixels and a pip sounds at each whole second, so that
``clip_reader`` can say what became of them.
"""

import shutil
from enum import Enum
from fractions import Fraction
from pathlib import Path

from tests.support import kept
from tests.support.clip_maker import Recipe, Sound, make

H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
HEVC = ("-c:v", "libx265", "-preset", "ultrafast", "-tag:v", "hvc1")
VP9 = ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-crf", "30", "-b:v", "0")
AAC = ("-c:a", "aac")
OPUS = ("-c:a", "libopus")

SUBTITLES = """\
1
00:00:01,000 --> 00:00:04,000
the first line

2
00:00:06,500 --> 00:00:11,500
a line that lasts across many a cut
"""
CHAPTERS = """\
;FFMETADATA1
[CHAPTER]
TIMEBASE=1/1000
START=0
END=4000
title=beginning
[CHAPTER]
TIMEBASE=1/1000
START=4000
END=9500
title=middle
[CHAPTER]
TIMEBASE=1/1000
START=9500
END=14000
title=end
"""
# Three tempos and three seconds of standstill, in seconds by the frame's number.
UNSTEADY = "if(lt(N,100),N/25,if(lt(N,160),4+(N-100)/12.5,11.8+(N-160)/50))"
LATE = 2.0  # seconds until the picture of ``LATE_PICTURE`` begins
TRANSPORT_START = 1.4  # seconds, what broadcast tools begin at


def x264(**parameters: int) -> tuple[str, ...]:
    """Return how to encode, every choice fixed that x264 would make by the picture."""
    fixed = {"scenecut": 0, "open-gop": 0, "b-adapt": 0}
    named = {name.replace("_", "-"): value for name, value in parameters.items()}
    listed = ":".join(f"{name}={value}" for name, value in (fixed | named).items())
    return (*H264, "-x264-params", listed)


def gop(frames: int) -> tuple[str, ...]:
    """Return how to encode with a clean keyframe every so many frames."""
    return x264(keyint=frames, min_keyint=frames, bframes=2)


class Clip(Enum):
    """The clips that can be asked for."""

    CLOSED_GOP = Recipe(".mp4", 500, codec=gop(50), muxer=("-movflags", "+faststart"))
    LONG_GOP = Recipe(".mp4", 500, codec=gop(225))  # nine seconds
    ONE_GOP = Recipe(".mp4", 300, codec=x264(keyint=9999, bframes=2))
    OPEN_GOP = Recipe(".mp4", 400, codec=x264(keyint=76, min_keyint=76, bframes=3, open_gop=1))
    OPEN_GOP_HEVC = Recipe(
        ".mp4",
        300,
        codec=(
            *HEVC,
            "-x265-params",
            "log-level=error:keyint=76:min-keyint=76:scenecut=0:bframes=3:b-adapt=0:open-gop=1",
        ),
    )
    NTSC = Recipe(".mp4", 450, rate=Fraction(30000, 1001), codec=gop(60))
    UNSTEADY = Recipe(".mp4", 410, codec=gop(50), times=UNSTEADY, sounds=(Sound(seconds=16.8),))
    WEBM = Recipe(".webm", 350, codec=(*VP9, "-g", "50"), sound_codec=OPUS)
    TWO_TRACKS = Recipe(
        ".mkv",
        350,
        codec=gop(50),
        sounds=(Sound(), Sound(shift=0.25)),
        extras=(("subtitles.srt", SUBTITLES), ("chapters.txt", CHAPTERS)),
        muxer=(
            *("-metadata", "title=a film", "-metadata", "timecode=10:00:00:00"),
            *("-metadata:s:v:0", "language=ger"),
            *("-metadata:s:a:0", "language=por", "-metadata:s:a:1", "language=eng"),
            *("-disposition:a:0", "0", "-disposition:a:1", "default"),
        ),
    )
    TRANSPORT = Recipe(
        ".ts",
        375,
        codec=gop(50),
        muxer=("-muxdelay", "0", "-muxpreload", "0", "-output_ts_offset", str(TRANSPORT_START)),
    )
    TURNED = Recipe(".mp4", 300, codec=gop(50), turned=True)
    SILENT = Recipe(".mp4", 300, codec=gop(50), sounds=())
    SONG_MP3 = Recipe(".mp3", 0, sounds=(Sound(seconds=15.0),), sound_codec=())
    SONG_M4A = Recipe(".m4a", 0, sounds=(Sound(seconds=15.0),))
    BLACK_INTRO = Recipe(".mp4", 375, codec=gop(25), black=125)
    TEN_FRAMES = Recipe(".mp4", 10, codec=gop(50))
    ONE_FRAME = Recipe(".mp4", 1, codec=gop(50), sounds=())
    LONG_SOUND = Recipe(".mp4", 200, codec=gop(50), sounds=(Sound(seconds=12.0),))
    LATE_PICTURE = Recipe(".mp4", 250, codec=gop(50), late=LATE, sounds=(Sound(seconds=12.0),))
    SILENCES = Recipe(
        ".mp4", 450, codec=gop(25), sounds=(Sound(silences=((5.0, 7.0), (12.2, 13.4))),)
    )
    SCENES = Recipe(".mp4", 400, codec=gop(25), scenes=(100, 230, 325))
    ODD_SIZE = Recipe(".webm", 200, size=(321, 193), codec=(*VP9, "-g", "50"), sound_codec=OPUS)
    COLOUR_709 = Recipe(
        ".mp4",
        200,
        codec=(
            *gop(50),
            *("-color_primaries", "bt709", "-color_trc", "bt709"),
            *("-colorspace", "bt709", "-color_range", "tv"),
        ),
    )
    COLOUR_2020 = Recipe(
        ".mp4",
        200,
        codec=(
            *gop(50),
            *("-color_primaries", "bt2020", "-color_trc", "bt2020-10"),
            *("-colorspace", "bt2020nc", "-color_range", "tv"),
        ),
    )

    @property
    def frames(self) -> int:
        """How many frames it has, numbered from 0; those of a black intro are unreadable."""
        recipe: Recipe = self.value
        return recipe.frames

    @property
    def rate(self) -> Fraction:
        """Frames a second."""
        recipe: Recipe = self.value
        return recipe.rate


def clip(asked: Clip) -> Path:
    """Return the clip's file; it is shared, so read it and leave it as it is."""
    recipe: Recipe = asked.value
    name = asked.name.lower() + recipe.suffix
    return kept.file(name, repr(recipe), lambda path: make(recipe, path))


def place(asked: Clip, folder: Path, name: str = "") -> Path:
    """Put a copy of the clip into a folder, such as a media root, and return it."""
    path = clip(asked)
    folder.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copyfile(path, folder / (name or path.name)))
