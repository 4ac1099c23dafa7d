"""Writes docs/lifecycle.md from the table that is the life of a worker.

With --check nothing is written, and it fails when the page is stale.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

from supervisor.core import lifecycle  # noqa: E402 - the path above makes it importable
from supervisor.core.lifecycle import (  # noqa: E402
    SIGNAL_MEANINGS,
    STATE_MEANINGS,
    TABLE,
    Signal,
    WorkerState,
)

PAGE = ROOT / "docs" / "lifecycle.md"


def page() -> str:
    """Return the whole page."""
    return "\n".join(
        [
            "# The life of a worker",
            "",
            "<!-- Made by tools/docs from src/supervisor/core/lifecycle.py: edit that. -->",
            "",
            (lifecycle.__doc__ or "").strip(),
            "",
            "## States",
            "",
            *_meanings("State", {state.value: STATE_MEANINGS[state] for state in WorkerState}),
            "",
            "## Signals",
            "",
            *_meanings("Signal", {signal.value: SIGNAL_MEANINGS[signal] for signal in Signal}),
            "",
            "## Diagram",
            "",
            "Signals that change nothing are left out; the table below has them all.",
            "",
            *_diagram(),
            "",
            "## Table",
            "",
            "In the state of the row, at the signal of the column, a worker becomes what the cell",
            "says. A dot marks a pair that cannot happen.",
            "",
            *_table(),
            "",
        ]
    )


def _meanings(title: str, meanings: dict[str, str]) -> Iterator[str]:
    yield f"| {title} | Meaning |"
    yield "|---|---|"
    for word, meaning in meanings.items():
        yield f"| `{word}` | {meaning} |"


def _diagram() -> Iterator[str]:
    yield "```mermaid"
    yield "stateDiagram-v2"
    yield f"    [*] --> {WorkerState.STARTING.value}"
    for state, row in TABLE.items():
        arrows: dict[WorkerState, list[str]] = {}
        for signal, following in row.items():
            if following is not state:
                arrows.setdefault(following, []).append(signal.value)
        for following, signals in arrows.items():
            yield f"    {state.value} --> {following.value}: {', '.join(signals)}"
    yield "```"


def _table() -> Iterator[str]:
    yield "| | " + " | ".join(signal.value for signal in Signal) + " |"
    yield "|---" * (len(Signal) + 1) + "|"
    for state in WorkerState:
        cells = (TABLE[state].get(signal) for signal in Signal)
        words = " | ".join("·" if cell is None else cell.value for cell in cells)
        yield f"| **{state.value}** | {words} |"


def main(arguments: list[str]) -> int:
    """Write the page, or with ``--check`` say whether it is stale."""
    wanted = page()
    if "--check" not in arguments:
        PAGE.write_text(wanted, encoding="utf-8")
        return 0
    if PAGE.exists() and PAGE.read_text(encoding="utf-8") == wanted:
        return 0
    sys.stderr.write("docs/lifecycle.md is not what the table says: run tools/docs\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
