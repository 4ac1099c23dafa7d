"""Draw a sheet of every kind of file the processors make: to be looked at, not measured.

    python -m tools.contact_sheet

Writes docs/images/contact-sheet.svg. Its source is another picture every six seconds, and has a
chapter each eight, so that one sees what was cut where.
"""

import asyncio
import base64
import contextlib
import functools
import html
import http.server
import subprocess
import sys
import tempfile
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.contexts import FakeContext
from typing_extensions import override

from workers import cutter, download, preview
from workers.processor import Job, JobContext, Result, ResultFile

SHEET = Path(__file__).parent.parent / "docs" / "images" / "contact-sheet.svg"
SECONDS = 24
SCENES = ("testsrc2", "mandelbrot", "testsrc", "smptehdbars")
CHAPTER = "[CHAPTER]\nTIMEBASE=1/1\nSTART={}\nEND={}\ntitle=part\n"
PAGE = """<title>film</title><video><source src="film.mp4">
<track kind="subtitles" srclang="en" src="en.vtt"></video>"""
SUBTITLES = "WEBVTT\n\n00:00.000 --> 00:06.000\nthe first picture\n"
MOVING = {".webp", ".gif"}  # they move in the sheet too
SOUND = {".m4a", ".mp3", ".ogg", ".mka"}
ACROSS, WIDE, HIGH, LINE, LEFT = 6, 160, 90, 18, 8  # pictures in a row; the others in pixels
SHOWN = 5  # files of one job; more are only counted


@dataclass(frozen=True, slots=True)
class Order:
    """One job of the sheet: a processor and what it is asked for."""

    name: str
    handle: Callable[[Job, JobContext], Awaitable[Result]]
    data: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Row:
    """A file that came of it, in words and in pictures (JPEG, WebP or GIF)."""

    words: str
    pictures: tuple[bytes, ...]


def orders(link: str, source: Path, sound: Path) -> tuple[Order, ...]:
    """Return every job that is shown."""
    film, heard = {"filePath": str(source)}, {"filePath": str(sound)}
    return (
        Order("download", download.handle, {"link": link, "subtitles": ["en"]}),
        Order("cutter: auto", cutter.handle, film | {"segmentTime": 10}),
        Order("cutter: exact", cutter.handle, film | {"segmentTime": 10, "mode": "exact"}),
        Order("cutter: copy", cutter.handle, film | {"segmentTime": 10, "mode": "copy"}),
        Order("cutter: ranges", cutter.handle, film | {"ranges": [["2", "5"], ["19.5", "21"]]}),
        Order("cutter: chapters", cutter.handle, film | {"chapters": True}),
        Order("cutter: scenes", cutter.handle, film | {"scenes": True}),
        Order("cutter: 3 equal", cutter.handle, film | {"equal": 3}),
        Order("cutter: 120 high", cutter.handle, film | {"height": 120, "segmentTime": 12}),
        Order("cutter of sound", cutter.handle, heard | {"segmentTime": 14}),
        Order("preview", preview.handle, film | {"sprite": True}),
        Order("preview: short", preview.handle, film | {"seconds": 2, "animated": True}),
        Order("preview: a GIF", preview.handle, film | {"seconds": 0.5, "animated": "gif"}),
        Order("preview of sound", preview.handle, heard),
    )


def main() -> int:
    """Run the jobs and draw what came of them."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        rows = asyncio.run(_rows(root))
    SHEET.write_text(_drawn(rows))
    sys.stdout.write(f"{SHEET.name}: {len(rows)} files, {SHEET.stat().st_size:,} bytes\n")
    return 0


async def _rows(root: Path) -> list[Row]:
    media, served = root / "media", root / "served"
    media.mkdir()
    served.mkdir()
    source, sound = _source(media / "source.mp4"), media / "sound.m4a"
    _ffmpeg("-i", source, "-vn", "-c", "copy", sound)
    (served / "film.mp4").write_bytes(source.read_bytes())
    (served / "film.html").write_text(PAGE)
    (served / "en.vtt").write_text(SUBTITLES)
    rows = [Row(f"the source: {SECONDS} s", _pictures(source, SECONDS))]
    with _site(served) as address:
        for number, order in enumerate(orders(f"http://{address}/film.html", source, sound)):
            result = await _run(order, root, number, address)
            rows += _shown(order.name, result)
    return rows


async def _run(order: Order, root: Path, number: int, address: str) -> Result:
    work = root / f"job-{number}"
    work.mkdir()
    context = FakeContext(root / "media", work, options={"allow": [address]})
    if order.handle is not download.handle:
        context.options = {}
    return await order.handle(Job(f"sheet-{number}", "sheet", order.data), context)


def _shown(name: str, result: Result) -> list[Row]:
    rows = [_row(name, file) for file in result.files[:SHOWN]]
    left = len(result.files) - len(rows)
    return rows if not left else [*rows, Row(f"{name}: and {left} more", ())]


def _row(name: str, file: ResultFile) -> Row:
    path = Path(file.path)
    facts = [f"{name}: {path.name}", f"{file.size:,} bytes"]
    if file.width:
        facts.append(f"{file.width} x {file.height}")
    if file.duration:
        facts.append(f"{file.duration:.2f} s")
    if file.start is not None and file.end is not None:
        facts.append(f"{file.start:.2f} to {file.end:.2f} s of the source")
    if path.suffix in {".vtt", ".srt"}:
        return Row(", ".join([*facts, *path.read_text().splitlines()[2:4]]), ())
    return Row(", ".join(facts), _pictures(path, file.duration or 0.0))


def _source(path: Path) -> Path:
    chapters = path.with_suffix(".txt")
    marks = "".join(CHAPTER.format(at, at + 8) for at in range(0, SECONDS, 8))
    chapters.write_text(f";FFMETADATA1\n{marks}")
    each = SECONDS // len(SCENES)
    scenes = [f"{scene}=size=640x360:rate=25,trim=duration={each}" for scene in SCENES]
    named = [f"{scene},setsar=1,format=yuv420p[s{at}]" for at, scene in enumerate(scenes)]
    inputs = "".join(f"[s{at}]" for at in range(len(SCENES)))
    picture = ";".join([*named, f"{inputs}concat=n={len(SCENES)}[film]"])
    tone = f"sine=frequency=440:duration={SECONDS},tremolo=f=0.5:d=0.9"
    _ffmpeg(
        *("-f", "lavfi", "-i", tone, "-i", chapters, "-filter_complex", picture),
        *("-map", "[film]", "-map", "0:a", "-map_metadata", "1", "-g", "50", "-c:a", "aac", path),
    )
    return path


def _pictures(path: Path, seconds: float) -> tuple[bytes, ...]:
    """Return pictures from all over a file, the first and the last frame among them."""
    if path.suffix in MOVING:
        return (path.read_bytes(),)
    if path.suffix in SOUND:
        return (_wave(path),)
    if path.suffix in {".jpg", ".jpeg", ".png"}:
        return (_picture(path),)
    between = [seconds * part / (ACROSS - 1) for part in range(1, ACROSS - 1)]
    taken = [_picture(path, "-ss", f"{at:.3f}") for at in (0.0, *between)]
    return (*taken, _picture(path, "-sseof", "-0.5", last=True))


def _picture(path: Path, *seek: str, last: bool = False) -> bytes:
    shape = f"scale={WIDE}:{HIGH}:force_original_aspect_ratio=decrease"
    keep = ("-update", "1") if last else ("-frames:v", "1")
    with tempfile.NamedTemporaryFile(suffix=".jpg") as picture:
        _ffmpeg(*seek, "-i", path, "-vf", shape, "-q:v", "9", *keep, picture.name)
        return Path(picture.name).read_bytes()


def _wave(path: Path) -> bytes:
    with tempfile.NamedTemporaryFile(suffix=".jpg") as picture:
        shape = f"showwavespic=size={WIDE}x{HIGH}:split_channels=0"
        _ffmpeg("-i", path, "-filter_complex", shape, "-frames:v", "1", picture.name)
        return Path(picture.name).read_bytes()


def _ffmpeg(*arguments: str | Path) -> None:
    command = ["ffmpeg", "-nostdin", "-v", "error", "-y", *(str(each) for each in arguments)]
    subprocess.run(command, check=True, timeout=60)


@contextlib.contextmanager
def _site(folder: Path) -> Iterator[str]:
    """Serve a folder on this machine; yields host and port."""
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files and keeps quiet about it."""

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def _kind(picture: bytes) -> str:
    return {b"RIFF": "webp", b"GIF8": "gif"}.get(picture[:4], "jpeg")


def _drawn(rows: Sequence[Row]) -> str:
    parts, top = [], 0
    for row in rows:
        parts.append(f'<text x="{LEFT}" y="{top + LINE - 4}">{html.escape(row.words)}</text>')
        top += LINE
        for column, picture in enumerate(row.pictures):
            data, kind = base64.b64encode(picture).decode(), _kind(picture)
            place = f'x="{LEFT + column * (WIDE + 4)}" y="{top}" width="{WIDE}" height="{HIGH}"'
            parts.append(f'<image {place} href="data:image/{kind};base64,{data}"/>')
        top += HIGH + 6 if row.pictures else 0
    width = 2 * LEFT + ACROSS * (WIDE + 4)
    style = "<style>text{font:12px monospace;fill:#ddd}</style>"
    ground = '<rect width="100%" height="100%" fill="#222"/>'
    size = f'width="{width}" height="{top}" viewBox="0 0 {width} {top}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size}>'
    return "\n".join([head, style, ground, *parts, "</svg>\n"])


if __name__ == "__main__":
    sys.exit(main())
