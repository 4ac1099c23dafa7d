"""What must hold of a job that was interrupted: pure, over what was seen."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from consumers.outcome import Cancelled, Completed, Failed, Interrupted, Outcome
from tests.media.interruptions.rig import Bout, Seen, Tree, Way

RESULTS = "results"
LINKS = "links"  # a memory of links, which may say less after a kill
SWEPT = ".swept"  # when a folder was last tidied, whoever came by that day
LOCK = ".lock"  # nobody holds it when its holder was killed; it is swept after a day


def broken(bout: Bout) -> list[str]:
    """Return each rule that was broken, in words."""
    return [
        *bout.flaws,
        *_processes(bout),
        *_publication(bout),
        *_ending(bout),
        *_redelivery(bout),
        *_idleness(bout),
    ]


def outcome_of(seen: Seen) -> Outcome | None:
    """Return how a run ended, if it did."""
    return seen.report.outcome if seen.report else None


def _processes(bout: Bout) -> Iterator[str]:
    for name, seen in _runs(bout):
        if seen.survivors:
            yield f"{name}: left behind: {'; '.join(seen.survivors)}"
        if seen.report and seen.report.left:
            yield f"{name}: programs {seen.report.left} ran on when the job was over"


def _publication(bout: Bout) -> Iterator[str]:
    """What is under a final name is whole, and nothing is there that should not be."""
    whole = _below(bout.undisturbed.tree, RESULTS)
    for name, seen in _runs(bout):
        found = _below(seen.tree, RESULTS)
        if len(found) > 1 or name != "interrupted":  # not merely the empty folder of them all
            yield from (f"{name}: {why}" for why in _differences(found, whole))
    before, after = _sources(bout.undisturbed.tree), _sources(bout.hit.tree)
    yield from (f"interrupted: source: {why}" for why in _differences(after, before))


def _ending(bout: Bout) -> Iterator[str]:
    """An interrupted run ends as it was told to, or was done before."""
    outcome = outcome_of(bout.hit)
    match bout.blow.way, outcome:
        case (_, Completed()) | (Way.CANCEL, Cancelled()) | (Way.STOP, None):
            is_right = bout.hit.report is not None
        case (Way.KILL | Way.KILL_AT_STEP | Way.KILL_AT_END, None):
            is_right = True
        case (Way.KILL_TOOL, Failed(failure)):
            is_right = not failure.permanent
        case (Way.KILL_TOOL, Interrupted() | None):
            is_right = True
        case _:
            is_right = False
    if not is_right:
        yield f"interrupted: it ended with {outcome}"


def _redelivery(bout: Bout) -> Iterator[str]:
    """Delivered again it comes to the same as if nothing had happened, and leaves no more."""
    expected, names = _told(bout.undisturbed), _names(bout.undisturbed.tree)
    for name, seen in (("delivered again", bout.again), ("done before", bout.third)):
        if _told(seen) != expected:
            yield f"{name}: it came to {outcome_of(seen)}, not {outcome_of(bout.undisturbed)}"
        if _names(seen.tree) != names:
            yield f"{name}: files differ: {sorted(_names(seen.tree) ^ names)}"


def _idleness(bout: Bout) -> Iterator[str]:
    """A finished job does no work."""
    third = bout.third
    if third.report and third.report.started:
        yield f"done before: it started {third.report.started}"
    if third.asked:
        yield f"done before: the site had {third.asked} requests"
    before, after = _below(bout.again.tree, RESULTS), _below(third.tree, RESULTS)
    changed = [name for name, kept in before.items() if after.get(name) != kept]
    if changed:
        yield f"done before: it touched {changed}"


def _runs(bout: Bout) -> tuple[tuple[str, Seen], ...]:
    return (("interrupted", bout.hit), ("delivered again", bout.again), ("third", bout.third))


def _below(tree: Tree, folder: str) -> Tree:
    return {name: kept for name, kept in tree.items() if Path(name).parts[0] == folder}


def _sources(tree: Tree) -> Tree:
    return {
        name: kept for name, kept in tree.items() if len(Path(name).parts) == 1 and kept.content
    }


def _names(tree: Tree) -> set[str]:
    paths = [Path(name) for name in tree if Path(name).parts[0] != LINKS]
    return {str(path) for path in paths if path.suffix != LOCK and path.name != SWEPT}


def _differences(found: Tree, whole: Tree) -> Iterator[str]:
    for name in sorted(found.keys() | whole.keys()):
        if name not in found or name not in whole:
            yield f"{name} is {'missing' if name in whole else 'too much'}"
        elif found[name].content != whole[name].content:
            sizes = f"{len(found[name].content)} bytes, not {len(whole[name].content)}"
            yield f"{name} is not what an undisturbed run makes ({sizes})"


def _told(seen: Seen) -> Mapping[str, object] | None:
    """Return a result with paths that are the same in every media folder."""
    outcome = outcome_of(seen)
    if not isinstance(outcome, Completed):
        return None
    files = outcome.result.get("files", ())
    assert isinstance(files, list | tuple)
    names = [{**file, "path": Path(file["path"]).name} for file in files]
    return {**outcome.result, "files": names}
