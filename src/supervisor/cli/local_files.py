"""Whether the file that ``publish --file`` names can be worked on, said before a job is made of it.

What the workers would refuse later is refused here, where somebody can put it right at once. It is
a look, no guarantee: the workers look again.
"""

from pathlib import Path

import click

from supervisor.config.settings import Pool, Settings

# Of ours, those that take files; what another processor takes is its own business.
_BOUND_TO_THE_MEDIA_ROOT = frozenset({"workers.cutter", "workers.preview"})


def require(named: str, pool_name: str, settings: Settings) -> None:
    """Return when there is such a file, in a place that the pool's workers may read.

    Raises:
        UsageError: naming the file, what is wrong with it, and what to do.
    """
    path = Path(named).expanduser().absolute()
    if not path.is_file():
        raise _wrong(named, _absent(named, path, settings.media))
    pool = settings.workers.get(pool_name)
    if pool is None or pool.processor.partition(":")[0] not in _BOUND_TO_THE_MEDIA_ROOT:
        return
    if _is_elsewhere(path, settings.media, pool):
        remedy = _named_there(named, settings.media) or (
            "copy it there and name the copy, or allow its folder with options.roots of the pool"
        )
        raise _wrong(named, f"lies outside the media folder {settings.media}: {remedy}")


def _is_elsewhere(path: Path, media: Path, pool: Pool) -> bool:
    if not media.is_dir():
        return False  # of a supervisor that runs elsewhere: only its workers can tell
    roots = pool.options.get("roots")
    named = roots if isinstance(roots, list | tuple) else ()
    allowed = (media, *(Path(root) for root in named if isinstance(root, str)))
    real = path.resolve()
    return not any(real.is_relative_to(root.resolve()) for root in allowed)


def _absent(named: str, path: Path, media: Path) -> str:
    if path.exists():
        return "is not a file"
    return f"is not there: {_named_there(named, media) or f'there is no {path}'}"


def _named_there(named: str, media: Path) -> str:
    kept = media / named  # an absolute name is none below it
    is_other = kept.is_file() and not Path(named).is_absolute()
    return f"did you mean {kept}?" if is_other else ""


def _wrong(named: str, what: str) -> click.UsageError:
    return click.UsageError(f"--file: {named} {what}")
