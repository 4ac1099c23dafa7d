"""Where ``python -m supervisor`` and the console script come in.

Nothing of ours is imported before it is certain that it can run here.
"""

import os
import sys
from pathlib import Path

OLDEST = (3, 11)


def main() -> int:
    """Run the command line and return its exit code."""
    fill_streams()
    if why := refusal(sys.platform, sys.version_info[:2], Path(__file__).parent):
        sys.stderr.write(f"Error: {why}\n")
        return 1
    # Not above: on a machine we refuse, these imports would end in a traceback.
    from consumers import garbage

    garbage.spare()
    from supervisor.cli.main import main as command_line

    try:
        return command_line()
    except KeyboardInterrupt:
        return 130  # 128 + SIGINT, as shells say it


def console() -> None:
    """Become ``python -m supervisor``.

    A child process that is started afresh imports the main module of its parent; the script's
    would draw the whole command line into every worker.
    """
    os.execv(sys.executable, [sys.executable, "-m", "supervisor", *sys.argv[1:]])  # noqa: S606


def fill_streams() -> None:
    """Put the null device where a standard stream is closed.

    The next file that is opened would take its number, and be written to by whoever has
    something to say.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the least number that is free: this one
            os.set_inheritable(number, True)  # noqa: FBT003 - its only parameter
    # Python has None for those that were closed when it started.
    sys.stdin = sys.stdin or os.fdopen(0, closefd=False)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)


def refusal(system: str, python: tuple[int, ...], home: Path) -> str:
    """Return why this cannot run here, or an empty string.

    Args:
        system: as in ``sys.platform``.
        python: major and minor version.
        home: the folder of this package.
    """
    if system == "win32":
        return "Windows is not supported; run the supervisor on Linux, or in WSL"
    if python < OLDEST:
        return f"Python {_dotted(OLDEST)} or newer is needed, this is {_dotted(python)}"
    # The program of that name on PyPI installs into the same package, over or under our files.
    imported = getattr(sys.modules.get("supervisor"), "__file__", None)
    is_elsewhere = imported is not None and Path(imported).parent != home
    if is_elsewhere or (home / "supervisord.py").exists():
        return (
            "another program's package named supervisor is installed here (supervisord's); the "
            "two cannot share an environment: make a new one and install rabbit-supervisor there"
        )
    return ""


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(str(part) for part in version)


if __name__ == "__main__":
    sys.exit(main())
