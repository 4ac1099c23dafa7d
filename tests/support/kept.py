"""Made files that outlive the test: the processes of a run share them, the next run finds them.

A file lies in a folder named after how it was made, and is renamed into place when it is whole.
Two processes may make the same one at the same time; the second's is thrown away.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

from tests.support import clip_maker, numbering

ROOT = Path(tempfile.gettempdir()) / f"numbered-clips-{os.getuid()}"
MAKERS = (Path(clip_maker.__file__), Path(numbering.__file__))


def file(name: str, recipe: str, make: Callable[[Path], object]) -> Path:
    """Return the kept file of that name and recipe; ``make`` writes it at the path it is given."""
    kept = ROOT / _key(recipe) / name
    if kept.exists():
        return kept
    ROOT.mkdir(mode=0o700, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=ROOT, prefix="making-") as folder:
        made = Path(folder) / name
        make(made)
        made.chmod(0o444)
        kept.parent.mkdir(exist_ok=True)
        made.replace(kept)
    return kept


def _key(recipe: str) -> str:
    return hashlib.sha256(f"{_tools()}{recipe}".encode()).hexdigest()[:16]


@cache
def _tools() -> str:
    """Return what changes when the maker or the encoder does."""
    ffmpeg = Path(shutil.which("ffmpeg") or "ffmpeg").stat()
    sources = hashlib.sha256(b"".join(path.read_bytes() for path in MAKERS)).hexdigest()
    return f"{ffmpeg.st_size} {ffmpeg.st_mtime_ns} {sources}"
