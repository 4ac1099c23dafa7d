"""One pass of ffmpeg over a film, and which of its pieces were wanted.

Pure. A pass cuts at every edge of its spans; what lies between the spans becomes pieces too, which
are thrown away. Spans that overlap need passes of their own.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from workers.media.files.spans import SAME, Span


@dataclass(frozen=True, slots=True)
class Pass:
    """Spans in order, none overlapping; their places in the job's own order."""

    spans: tuple[Span, ...]
    places: tuple[int, ...]

    @property
    def cuts(self) -> tuple[float, ...]:
        """The moments to cut at: every edge but the film's beginning."""
        edges = sorted({edge for span in self.spans for edge in (span.start, span.end)})
        cuts: list[float] = []
        for edge in edges:
            if edge > (cuts[-1] if cuts else 0.0) + SAME:
                cuts.append(edge)
        return tuple(cuts)

    @property
    def end(self) -> float:
        """The moment after which nothing is wanted."""
        return max(span.end for span in self.spans)

    @property
    def has_gaps(self) -> bool:
        """Say whether something before the end is not wanted."""
        return len(self.cuts) > len(self.spans)

    def pieces(self) -> tuple[int, ...]:
        """Return for each span which of the pass's pieces it is, the first being 0."""
        return tuple(bisect_right(self.cuts, span.start + SAME) for span in self.spans)


def arranged(spans: Sequence[Span]) -> tuple[Pass, ...]:
    """Return the fewest passes that make all spans."""
    layers: list[list[int]] = []
    for place in sorted(range(len(spans)), key=lambda at: (spans[at].start, spans[at].end)):
        free = (layer for layer in layers if spans[layer[-1]].end <= spans[place].start + SAME)
        layer = next(free, None)
        if layer is None:
            layers.append([place])
        else:
            layer.append(place)
    return tuple(Pass(tuple(spans[at] for at in layer), tuple(layer)) for layer in layers)
