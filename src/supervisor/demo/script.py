"""The demo's script as values: scenes, their steps, and how each of them ended."""

import enum
from dataclasses import dataclass, field
from pathlib import Path


class Mark(enum.Enum):
    """Where a step stands."""

    WAITING = "waiting"
    RUNNING = "running"
    GOOD = "good"
    BAD = "bad"


@dataclass(slots=True)
class Step:
    """One thing that is to happen; ``percent`` is None when nothing can be measured."""

    title: str
    mark: Mark = Mark.WAITING
    said: str = ""
    percent: float | None = None
    seconds: float = 0.0


@dataclass(slots=True)
class Scene:
    """Steps that belong together, and what they are to show."""

    title: str
    lesson: str
    steps: list[Step] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)  # what its jobs produced

    @property
    def went_well(self) -> bool:
        """Answer whether every step ended as it should."""
        return all(step.mark is Mark.GOOD for step in self.steps)

    def step(self, title: str) -> Step:
        """Add a step that is under way."""
        step = Step(title, Mark.RUNNING)
        self.steps.append(step)
        return step
