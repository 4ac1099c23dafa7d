"""What ``doctor`` looks at around media: encoders, how tools are confined, roots, the quota.

Media tools are asked in processes of their own; nothing of theirs is imported here.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from supervisor.cli.checks import Answer, Level, room
from supervisor.config.settings import Pool, Settings
from workers import holdings

_PATIENCE = 20.0  # seconds for one program
NEEDED = ("libx264", "aac")  # encoders
# Prints how tools are confined; run with a program, also what that says of its encoders, confined.
_CONFINED = "import workers.media.tools.rehearsal as r; r.main()"
_INSTALL = "apt-get install ffmpeg, or pip install 'rabbit-supervisor[ffmpeg]'"


def about_tools() -> Iterator[Answer]:
    """Answer how ffmpeg is confined, whether it runs so, and whether it has the encoders."""
    done = subprocess.run(
        [sys.executable, "-c", _CONFINED],
        capture_output=True,
        timeout=_PATIENCE,
        check=False,
        text=True,
    )
    how, _, encoders = done.stdout.partition("\n")
    if done.returncode != 0:
        why = (done.stderr.strip().splitlines() or ["it does not run"])[-1]
        remedy = "set confine: false in the pools' options, or install ffmpeg below /usr or /opt"
        yield Answer(Level.FAIL, "confinement", why, remedy)
        return
    is_full = how.startswith("Landlock")
    remedy = "" if is_full else "boot with lsm=landlock,... on Linux 5.13 or later"
    yield Answer(Level.OK if is_full else Level.WARN, "confinement", how, remedy)
    if not encoders:  # there is no ffmpeg, which is said already
        return
    lacking = [name for name in NEEDED if f" {name} " not in encoders]
    if lacking:
        yield Answer(Level.FAIL, "encoders", f"ffmpeg lacks {', '.join(lacking)}", _INSTALL)
    else:
        yield Answer(Level.OK, "encoders", ", ".join(NEEDED))


def about_roots(settings: Settings) -> Iterator[Answer]:
    """Answer which folders jobs may name files in, and whether they are there."""
    for pool in settings.workers.values():
        for root in _roots(pool):
            what = f"{root} may be read by pool {pool.name}"
            if Path(root).is_dir():
                yield Answer(Level.OK, "roots", what)
            else:
                remedy = "make it, or take it out of the pool's options.roots"
                yield Answer(Level.WARN, "roots", f"{what}, but is no folder", remedy)


def about_quota(settings: Settings) -> Iterator[Answer]:
    """Answer how much of its quota the media folder has used, where it has one."""
    if not settings.media_quota:
        return
    used = holdings.used(settings.media)
    found = f"results take {room(used)} of {room(settings.media_quota)}"
    if used < settings.media_quota:
        yield Answer(Level.OK, "media quota", found)
    else:
        remedy = f"remove results below {settings.media}, or raise media.quota"
        yield Answer(Level.FAIL, "media quota", f"{found}: no job begins", remedy)


def _roots(pool: Pool) -> list[str]:
    roots = pool.options.get("roots", ())
    return [str(root) for root in roots] if isinstance(roots, list | tuple) else []
