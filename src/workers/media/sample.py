"""A sample video, made on the spot: ``python -m workers.media.sample FILE [SECONDS]``.

A moving test card with a clock and a tone each second: something to look at and to listen to,
and nobody's property.
"""

import subprocess
import sys
from pathlib import Path

from consumers.errors import WorkError
from workers.media import binaries

SECONDS = 40
PATIENCE = 120  # seconds


def main(arguments: list[str]) -> int:
    """Make the video; return the exit code."""
    path = Path(arguments[0])
    seconds = int(arguments[1]) if len(arguments) > 1 else SECONDS
    try:
        ffmpeg = binaries.find().ffmpeg
    except WorkError as error:
        sys.stderr.write(f"{error.message}; {error.hint}\n")
        return 1
    made = subprocess.run(
        [ffmpeg, *_options(seconds), "-f", "mp4", f"file:{path}"],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        timeout=PATIENCE,
        check=False,
    )
    sys.stderr.buffer.write(made.stderr)
    return made.returncode


def _options(seconds: int) -> list[str]:
    picture = f"testsrc2=size=1280x720:rate=25:duration={seconds}"
    sound = f"sine=frequency=330:beep_factor=4:duration={seconds}"
    return [
        *("-nostdin", "-hide_banner", "-v", "error", "-y"),
        *("-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", sound),
        *("-c:v", "libx264", "-preset", "ultrafast", "-crf", "23", "-g", "50"),
        *("-pix_fmt", "yuv420p", "-c:a", "aac", "-b:a", "96k", "-movflags", "+faststart"),
    ]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
