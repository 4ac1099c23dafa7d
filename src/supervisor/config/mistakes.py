"""What is wrong with a configuration: every mistake at once, each with its place and the remedy."""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing that is wrong. ``line`` counts from 1; 0 when there is no line to name."""

    file: str
    line: int
    key: str  # workers.cutter.instances, or empty for the file as a whole
    what: str

    def sentence(self) -> str:
        """Return ``file:line: key: what is wrong; what is allowed``."""
        place = f"{self.file}:{self.line}" if self.line else self.file
        return ": ".join(part for part in (place, self.key, self.what) if part)


class ConfigError(Exception):
    """The configuration cannot be used; ``mistakes`` holds all that is wrong with it."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(sorted(mistakes, key=lambda mistake: mistake.line))
        super().__init__("\n".join(mistake.sentence() for mistake in self.mistakes))


class Findings:
    """The mistakes found so far in one file."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._found: list[Mistake] = []

    def add(self, line: int, key: str, what: str) -> None:
        """Note a mistake and go on reading."""
        self._found.append(Mistake(self._file, line, key, what))

    def concern(self, *keys: str) -> bool:
        """Answer whether one of these keys, or something above it, is reported already."""
        reported = {mistake.key for mistake in self._found}
        return any(_is_below(key, above) for key in keys for above in reported)

    def complain(self) -> None:
        """Raise what was found, if anything was."""
        if self._found:
            raise ConfigError(self._found)


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """Return ``did you mean ...?`` for the nearest known word, or the list of all of them."""
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]}?"
    return f"allowed are {', '.join(known)}"


def _is_below(key: str, above: str) -> bool:
    return key == above or key.startswith((f"{above}.", f"{above}["))
