"""Writes docs/invariants.md: what always holds, and the tests that fail when it does not.

A test names an invariant by ``@pytest.mark.invariant(N)``. With --check nothing is written, and
it fails when the page is stale; an invariant that no test names fails always.
"""

import ast
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "invariants.md"

INVARIANTS = (
    "A job whose publish was confirmed is at every instant in at least one durable place, until "
    "`completed`, `cancelled` or `removed` is recorded.",
    "Nothing is acked before its outcome is committed, or before its copy is confirmed and was "
    "not returned.",
    "A delivery is settled only on the session that brought it.",
    "A job never runs twice at the same time under one coordinator.",
    "Crashes are counted durably before the next process starts; at the limit a job does not "
    "start again until it is replayed.",
    "Only a job that was started can be blamed for the death of its worker.",
    "`attempts` counts failures of the processor, and nothing else.",
    "The body of a dead letter is byte for byte what came.",
    "The coordinator never blocks on a worker, nor a worker for ever on the coordinator.",
    "However the coordinator ends, nothing that it started survives.",
    "Every wait for the network has a deadline; every new try to connect waits a random time.",
    "Public queues are declared without arguments, or taken as they are.",
    "`noreply` silences the notice, and nothing else.",
    "A result appears under its final name only when it is whole and was looked at.",
    "What was cancelled or removed never runs again, unless a cancelled job is retried.",
)


def page(found: Mapping[int, Sequence[tuple[str, str]]]) -> str:
    """Return the whole page."""
    lines = [
        "# What always holds",
        "",
        "<!-- Made by tools/docs from tools/invariants_page.py and the tests' marks. -->",
        "",
        "Each invariant with the tests that fail when it is broken. `tests/chaos` then tries all",
        "of them at once, under faults.",
    ]
    for number, sentence in enumerate(INVARIANTS, start=1):
        lines += ["", f"## {number}. {sentence}", ""]
        lines += [_line(file, name) for file, name in found[number]]
    return "\n".join([*lines, ""])


def named() -> Mapping[int, Sequence[tuple[str, str]]]:
    """Return which tests name which invariant, in the order of their files."""
    found: dict[int, list[tuple[str, str]]] = defaultdict(list)
    for file in sorted((ROOT / "tests").rglob("test_*.py")):
        for number, name in _marks(ast.parse(file.read_text())):
            found[number].append((str(file.relative_to(ROOT / "tests")), name))
    return found


def _marks(module: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for decorator in node.decorator_list:
                yield from ((number, node.name) for number in _numbers(decorator))


def _numbers(decorator: ast.expr) -> Iterator[int]:
    if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.invariant":
        for argument in decorator.args:
            number = ast.literal_eval(argument)
            if not 1 <= number <= len(INVARIANTS):
                sys.exit(f"there is no invariant {number}, there are {len(INVARIANTS)}")
            yield number


def _line(file: str, name: str) -> str:
    sentence = name.removeprefix("test_").replace("_", " ")
    return f"- {sentence} ([{file}](../tests/{file}))"


def main(arguments: list[str]) -> int:
    """Write the page, or with --check say whether it is current."""
    found = named()
    unproven = [str(n) for n in range(1, len(INVARIANTS) + 1) if not found.get(n)]
    if unproven:
        print(f"no test names invariant {', '.join(unproven)}")
        return 1
    wanted = page(found)
    if "--check" not in arguments:
        PAGE.write_text(wanted)
    elif not PAGE.exists() or PAGE.read_text() != wanted:
        print(f"{PAGE.relative_to(ROOT)} is stale: run tools/docs")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
