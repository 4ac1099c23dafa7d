"""A stretch of a film: from its first second up to, and not including, its last.

Pure. Spans are what a job asks for and what a plan is made of; seconds count from the file's own
beginning, wherever its timestamps start.
"""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

# Two moments nearer than this are the same: the containers' clocks round to a millisecond.
SAME = 0.001  # seconds


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """One stretch, ``[start, end)`` in seconds; it holds the frames shown from start on."""

    start: float
    end: float

    @property
    def length(self) -> float:
        """The seconds it takes to play."""
        return self.end - self.start


def between(cuts: Iterable[float], whole: Span) -> tuple[Span, ...]:
    """Return the spans that cuts, in order, divide the whole into; cuts outside it are left out."""
    inner = (cut for cut in cuts if whole.start + SAME < cut < whole.end - SAME)
    edges = itertools.pairwise((whole.start, *inner, whole.end))
    return tuple(Span(start, end) for start, end in edges)
