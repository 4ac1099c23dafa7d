"""Make the README's pictures: play the demo, keep its last screen and a frame of the preview.

    python tools/pictures.py

Writes docs/images/demo.svg and docs/images/preview.jpg.
"""

import io
import re
import shutil
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import DIMMED_MONOKAI

from supervisor.demo.play import play

IMAGES = Path(__file__).parent.parent / "docs" / "images"
WIDTH = 104  # columns
FONT_FACES = re.compile(r"@font-face \{.*?\}", re.DOTALL)


def main() -> int:
    """Play the demo into a recording console and export it."""
    console = Console(record=True, width=WIDTH, file=io.StringIO())
    progress = Console(stderr=True)
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "demo-output"
        code = play(broker="embedded", output=output, console=console, progress=progress)
        if code:
            sys.stderr.write("the demo did not end as it should: no pictures\n")
            return code
        IMAGES.mkdir(parents=True, exist_ok=True)
        shutil.copy(next(output.rglob("poster.jpg")), IMAGES / "preview.jpg")
        picture = console.export_svg(title="make demo", theme=DIMMED_MONOKAI)
    # The reader's own monospace font will do: a picture should not fetch one.
    picture = FONT_FACES.sub("", picture).replace(str(output.parent), "~/rabbit-supervisor")
    (IMAGES / "demo.svg").write_text(picture)
    return 0


if __name__ == "__main__":
    sys.exit(main())
