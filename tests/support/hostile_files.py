"""Files that are not what they say, and names that are not what they seem.

``make(Hostile.NO_INDEX, folder)`` puts one into a folder, such as a media root.
"""

import os
import random
import shutil
import socket
import stat
import struct
import zlib
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path

from tests.support import kept
from tests.support.clip_maker import run_ffmpeg
from tests.support.clips import H264, Clip, clip, place

HUGE = 8192  # pixels on each side of the picture that swells when it is decoded
HUGE_PNG = 16000
HOURS = 100  # what the absurd header claims
FOREIGN = "secret.ts"

# Options, protocols, patterns and quotes to somebody; a name to us.
NAMES = (
    "-rf.mp4",
    "--help.mp4",
    "http:x.mp4",
    "a:b.mp4",
    "pipe:0.mp4",
    "%03d.mp4",
    "two\nlines.mp4",
    'it\'s "quoted" $(id) `id`.mp4',
    "back\\slash.mp4",
    "..mp4",
    " leading and trailing .mp4 ",
    "x" * 251 + ".mp4",
    "\u202efdp.4pm.mp4",
    "[a],(b);c=d.mp4",
    "#EXTM3U.mp4",
)


class Hostile(Enum):
    """The files that can be asked for; the value is the name on disk."""

    EMPTY = "empty.mp4"
    TEXT = "text.mp4"
    PAGE = "page.mp4"
    RANDOM = "random.mp4"
    NO_INDEX = "no_index.mp4"  # its moov never came
    TRUNCATED = "truncated.mp4"  # the index says 20 s, the data breaks off
    CORRUPT_MIDDLE = "corrupt_middle.mp4"
    JPEG = "photo.mp4"
    PLAYLIST = "playlist.mp4"  # HLS that names a file outside
    PLAYLIST_OF_SITE = "playlist_of_site.mp4"  # HLS that names a link
    CONCAT = "concat.mp4"  # ffconcat that names a neighbour
    DASH = "dash.mp4"
    BOMB = "bomb.mp4"  # few bytes, pictures of 8192 x 8192
    HUGE_PNG = "huge.png"
    HUNDRED_HOURS = "hundred_hours.mp4"
    FIFO = "fifo.mp4"
    SOCKET = "socket.mp4"
    FOLDER = "folder.mp4"
    DEVICE = "device.mp4"
    LINK_OUT = "link_out.mp4"  # to a sound clip outside of the folder
    LINK_TO_LINK = "link_to_link.mp4"  # two steps, the second leads outside
    DANGLING = "dangling.mp4"
    LOOP = "loop.mp4"
    DATA_ONLY = "data_only.mkv"  # subtitles, neither picture nor sound


NOT_REGULAR = (Hostile.FIFO, Hostile.SOCKET, Hostile.FOLDER, Hostile.DEVICE)
OUTSIDE = (Hostile.LINK_OUT, Hostile.LINK_TO_LINK)
DISGUISED = (
    Hostile.JPEG,
    Hostile.PLAYLIST,
    Hostile.PLAYLIST_OF_SITE,
    Hostile.CONCAT,
    Hostile.DASH,
    Hostile.HUGE_PNG,
)
NOT_MEDIA = (Hostile.TEXT, Hostile.PAGE, Hostile.RANDOM, Hostile.NO_INDEX)


def make(asked: Hostile, folder: Path) -> Path:
    """Put the file into a folder; what it names or links to lies beside that folder."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / asked.value
    MAKERS[asked](path)
    return path


def named(name: str, folder: Path, source: Clip = Clip.CLOSED_GOP) -> Path:
    """Put a sound clip into a folder under a name that is not sound."""
    return place(source, folder, name)


def outside(folder: Path) -> Path:
    """Return the sound clip beside a folder that links and playlists of it lead to."""
    place(Clip.TRANSPORT, folder.parent / "outside", FOREIGN)
    return folder.parent / "outside" / FOREIGN


def _empty(path: Path) -> None:
    path.touch()


def _text(path: Path) -> None:
    path.write_text("It was a dark and stormy night.\n" * 200)


def _page(path: Path) -> None:
    path.write_text("<!doctype html><html><body>Video unavailable</body></html>\n" * 20)


def _random(path: Path) -> None:
    path.write_bytes(random.Random(1).randbytes(200_000))  # noqa: S311 - the same each time


def _no_index(path: Path) -> None:
    whole = clip(Clip.LONG_GOP).read_bytes()
    path.write_bytes(whole[: whole.index(b"moov") - 4])


def _truncated(path: Path) -> None:
    whole = clip(Clip.CLOSED_GOP).read_bytes()
    path.write_bytes(whole[: len(whole) * 7 // 10])


def _corrupt_middle(path: Path) -> None:
    whole = bytearray(clip(Clip.CLOSED_GOP).read_bytes())
    middle = len(whole) // 2
    whole[middle : middle + 20_000] = random.Random(2).randbytes(20_000)  # noqa: S311
    path.write_bytes(whole)


def _jpeg(path: Path) -> None:
    source = str(clip(Clip.CLOSED_GOP))
    run_ffmpeg("-i", source, "-frames:v", "1", "-f", "mjpeg", str(path), folder=path.parent)


def _playlist(path: Path) -> None:
    _write_playlist(path, str(outside(path.parent)))


def _playlist_of_site(path: Path) -> None:
    _write_playlist(path, "http://127.0.0.1:9/segment.ts")


def _write_playlist(path: Path, segment: str) -> None:
    head = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:15\n#EXT-X-MEDIA-SEQUENCE:0\n"
    path.write_text(f"{head}#EXTINF:15.0,\n{segment}\n#EXT-X-ENDLIST\n")


def _concat(path: Path) -> None:
    place(Clip.TRANSPORT, path.parent, "neighbour.ts")
    path.write_text("ffconcat version 1.0\nfile neighbour.ts\nduration 15\n")


def _dash(path: Path) -> None:
    path.write_text(
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"'
        ' mediaPresentationDuration="PT10S" profiles="urn:mpeg:dash:profile:isoff-main:2011">'
        '<Period><AdaptationSet mimeType="video/mp4"><Representation id="1" bandwidth="1000"'
        ' width="320" height="192" codecs="avc1.42c00d">'
        "<BaseURL>http://127.0.0.1:9/video.mp4</BaseURL>"
        "</Representation></AdaptationSet></Period></MPD>"
    )


def _bomb(path: Path) -> None:
    black = f"color=black:size={HUGE}x{HUGE}:rate=1:duration=2"
    arguments = ("-f", "lavfi", "-i", black, *H264, "-threads", "1")

    def encode(target: Path) -> None:
        run_ffmpeg(*arguments, target.name, folder=target.parent)

    shutil.copyfile(kept.file(path.name, repr(arguments), encode), path)


def _huge_png(path: Path) -> None:
    header = struct.pack(">IIBBBBB", HUGE_PNG, HUGE_PNG, 1, 0, 0, 0, 0)  # one bit of grey
    rows = zlib.compress(bytes((HUGE_PNG // 8 + 1) * HUGE_PNG), level=1)
    chunks = ((b"IHDR", header), (b"IDAT", rows), (b"IEND", b""))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(_chunks(chunks)))


def _chunks(chunks: tuple[tuple[bytes, bytes], ...]) -> Iterator[bytes]:
    for name, content in chunks:
        checksum = zlib.crc32(name + content)
        yield struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)


def _hundred_hours(path: Path) -> None:
    # One picture an hour: a single step that long does not fit the field it is written in.
    still = f"color=gray:size=64x64:rate=1:duration={HOURS + 1}"
    late = "settb=1/1000,setpts=N*3600000"
    shown = ("-vf", late, "-fps_mode", "passthrough", "-enc_time_base", "1:1000")
    run_ffmpeg("-f", "lavfi", "-i", still, *shown, *H264, path.name, folder=path.parent)


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    # The name in an address is short: bind from within the folder, whatever its own path.
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with socket.socket(socket.AF_UNIX) as door:
            door.bind(f"/proc/self/fd/{folder}/{path.name}")
    finally:
        os.close(folder)


def _folder(path: Path) -> None:
    path.mkdir()
    place(Clip.TEN_FRAMES, path)


def _device(path: Path) -> None:
    """Make a node like /dev/zero; who may not gets a link to the one there is."""
    try:
        os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 5))
    except PermissionError:
        path.symlink_to("/dev/zero")


def _link_out(path: Path) -> None:
    path.symlink_to(outside(path.parent))


def _link_to_link(path: Path) -> None:
    step = path.with_name("step.mp4")
    step.symlink_to(outside(path.parent))
    path.symlink_to(step.name)


def _dangling(path: Path) -> None:
    path.symlink_to("nowhere.mp4")


def _loop(path: Path) -> None:
    path.symlink_to(path.name)


def _data_only(path: Path) -> None:
    lines = path.with_suffix(".srt")
    lines.write_text("1\n00:00:01,000 --> 00:00:04,000\nwords\n")
    run_ffmpeg("-i", lines.name, path.name, folder=path.parent)
    lines.unlink()


MAKERS: dict[Hostile, Callable[[Path], None]] = {
    Hostile.EMPTY: _empty,
    Hostile.TEXT: _text,
    Hostile.PAGE: _page,
    Hostile.RANDOM: _random,
    Hostile.NO_INDEX: _no_index,
    Hostile.TRUNCATED: _truncated,
    Hostile.CORRUPT_MIDDLE: _corrupt_middle,
    Hostile.JPEG: _jpeg,
    Hostile.PLAYLIST: _playlist,
    Hostile.PLAYLIST_OF_SITE: _playlist_of_site,
    Hostile.CONCAT: _concat,
    Hostile.DASH: _dash,
    Hostile.BOMB: _bomb,
    Hostile.HUGE_PNG: _huge_png,
    Hostile.HUNDRED_HOURS: _hundred_hours,
    Hostile.FIFO: _fifo,
    Hostile.SOCKET: _socket,
    Hostile.FOLDER: _folder,
    Hostile.DEVICE: _device,
    Hostile.LINK_OUT: _link_out,
    Hostile.LINK_TO_LINK: _link_to_link,
    Hostile.DANGLING: _dangling,
    Hostile.LOOP: _loop,
    Hostile.DATA_ONLY: _data_only,
}
