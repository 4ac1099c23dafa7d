"""What ffprobe says of a made file, for asserting on it."""

import json
import subprocess
from pathlib import Path
from typing import Any


def _ffprobe(path: Path, *options: str) -> str:
    command = ["ffprobe", "-v", "error", *options, str(path)]
    return subprocess.run(command, check=True, timeout=30, capture_output=True, text=True).stdout


def described(path: Path) -> Any:
    return json.loads(_ffprobe(path, "-show_format", "-show_streams", "-of", "json"))


def frames(path: Path) -> int:
    """Count the frames that can really be decoded."""
    entries = ("-count_frames", "-select_streams", "v:0", "-show_entries", "stream=nb_read_frames")
    return int(_ffprobe(path, *entries, "-of", "csv=p=0").strip().strip(","))


def duration(path: Path) -> float:
    return float(described(path)["format"]["duration"])


def top_level_boxes(path: Path) -> list[str]:
    """Return the names of an mp4's outermost boxes in order."""
    data, at, names = path.read_bytes(), 0, []
    while at + 8 <= len(data):
        names.append(data[at + 4 : at + 8].decode("latin-1"))
        at += int.from_bytes(data[at : at + 4]) or len(data)
    return names
