"""Whether what an undisturbed run makes is right: the others are compared with it."""

from collections.abc import Iterator
from pathlib import Path

from consumers.outcome import Completed
from tests.media.interruptions.cases import Case
from tests.media.interruptions.worker import Report
from tests.support import clip_reader


def flaws(case: Case, report: Report | None) -> Iterator[str]:
    """Yield what is wrong with the files of a job."""
    outcome = report.outcome if report else None
    if not isinstance(outcome, Completed):
        yield f"{case.name}: undisturbed it came to {outcome}"
        return
    files = outcome.result["files"]
    assert isinstance(files, list)
    films = [Path(file["path"]) for file in files if file.get("kind", "video") == "video"]
    pieces = clip_reader.read_all(films, sound=False)
    for piece in pieces:
        if piece.complaints:
            yield f"{case.name}: {piece.path.name} does not decode: {piece.complaints}"
    if case.shows is not None:
        account = clip_reader.account(pieces, clip_reader.original(case.shows).numbers)
        if not account.is_exact:
            yield f"{case.name}: undisturbed it lost or repeated frames: {account}"
