"""The jobs that are interrupted: short ones, of every course that a processor may take."""

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.support import clip_maker
from tests.support.clips import Clip, clip, place
from tests.support.media_server import Answer, MediaServer

QUEUE = "interrupted_queue"
JOB = "the job"
TRANSFER = 0.4  # seconds a download takes on the line, so that it can be hit there
PLAYLIST = "application/vnd.apple.mpegurl"


@dataclass(frozen=True, slots=True)
class Case:
    """A job; ``path`` is where the site has what a download fetches.

    Where its files together show each frame of a clip once, ``shows`` is that clip.
    """

    name: str
    processor: str
    data: Mapping[str, object] = field(default_factory=dict)
    source: Clip | None = None
    path: str = ""
    shows: Clip | None = None

    def body(self, site: MediaServer) -> dict[str, object]:
        """Return what the job says."""
        if self.source is None:
            return {"link": site.url + self.path, **self.data}
        return {"filePath": clip(self.source).name, **self.data}

    def prepare(self, media: Path) -> None:
        """Make the media folder, with the source in it."""
        media.mkdir(parents=True)
        if self.source is not None:
            place(self.source, media)


def _download(name: str, path: str, shows: Clip) -> Case:
    return Case(name, "workers.download", path=path, shows=shows)


def _cut(name: str, source: Clip, **data: object) -> Case:
    return Case(name, "workers.cutter", {"segmentTime": 5, **data}, source, shows=source)


def _preview(name: str, source: Clip, **data: object) -> Case:
    return Case(name, "workers.preview", data, source)


SHEET = {"columns": 3, "rows": 2, "width": 80}
DOWNLOADS = (
    _download("a file that can be resumed", "/tagged.mp4", Clip.ONE_GOP),
    _download("a stream in segments", "/list.m3u8", Clip.CLOSED_GOP),
    _download("a file that cannot be resumed", "/plain.mp4", Clip.ONE_GOP),
    Case("an album", "workers.download", path="/album"),
)
CUTS = (
    _cut("cut at keyframes", Clip.CLOSED_GOP, mode="auto"),
    _cut("encoded", Clip.ONE_GOP, mode="auto"),
    _cut("cut on the frame", Clip.TRANSPORT, mode="exact", segmentTime=8),
    _cut("copied", Clip.LONG_GOP, mode="copy"),
)
PREVIEWS = (
    _preview("a preview with a sheet", Clip.SCENES, seconds=2, samples=2, sprite=SHEET),
    _preview("a preview that moves", Clip.BLACK_INTRO, seconds=1, samples=2, animated="webp"),
    _preview("a waveform", Clip.SONG_MP3),
)
PROCESSORS: Mapping[str, tuple[Case, ...]] = {
    "download": DOWNLOADS,
    "cutter": CUTS,
    "preview": PREVIEWS,
}


def furnish(site: MediaServer) -> None:
    """Put on the site what the downloads fetch."""
    film = clip(Clip.ONE_GOP).read_bytes()
    kind = "video/mp4"
    tag = {"ETag": '"one"'}
    site.serve("/tagged.mp4", Answer(film, kind=kind, headers=tag, ranges=True, takes=TRANSFER))
    site.serve("/plain.mp4", Answer(film, kind=kind, takes=TRANSFER))
    films = b'<video src="/plain.mp4"></video><video src="/tagged.mp4"></video>'
    site.serve("/album", Answer(b"<html><title>Album</title>" + films + b"</html>"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copyfile(clip(Clip.CLOSED_GOP), folder / "film.mp4")
        cut = ("-c", "copy", "-hls_time", "4", "-hls_list_size", "0")
        clip_maker.run_ffmpeg("-i", "film.mp4", *cut, "list.m3u8", folder=folder)
        for part in folder.glob("*.ts"):
            answer = Answer(part.read_bytes(), kind="video/mp2t", takes=TRANSFER / 5)
            site.serve(f"/{part.name}", answer)
        site.serve("/list.m3u8", Answer((folder / "list.m3u8").read_bytes(), kind=PLAYLIST))
