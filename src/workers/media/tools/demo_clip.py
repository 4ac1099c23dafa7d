"""A clip for demos, made on the spot: ``python -m workers.media.tools.demo_clip FILE [SECONDS]``.

A test card that counts the seconds before a moving backdrop, and a tone: something to look at
and to listen to, and nobody's property.
"""

import subprocess
import sys
from pathlib import Path

from consumers.errors import WorkError
from workers.media.tools import binaries

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
    backdrop = "gradients=size=160x90:rate=25:speed=0.01:nb_colors=5:seed=11:type=spiral"
    card = "testsrc=size=480x360:rate=25"  # counts the seconds
    sound = "sine=frequency=330:beep_factor=4"  # and lets them be heard
    inputs = [word for source in (backdrop, card, sound) for word in ("-f", "lavfi", "-i", source)]
    return [
        *("-nostdin", "-hide_banner", "-v", "error", "-y", *inputs),
        *("-filter_complex", "[0]scale=1280:720:flags=bicubic[b];[b][1]overlay=400:180"),
        *("-t", str(seconds), "-c:v", "libx264", "-preset", "ultrafast", "-crf", "23", "-g", "50"),
        *("-pix_fmt", "yuv420p", "-c:a", "aac", "-b:a", "96k", "-movflags", "+faststart"),
    ]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
