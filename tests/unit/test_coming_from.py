"""The page for those who come from elsewhere: each of its lines names a test that is there."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
PAGE = "coming-from.md"
PROVED = re.compile(r"\[([^\]]+)\]\(\.\./(tests/[^)]+\.py)\)")
UNPROVED = {"Replaced, and why", "Not there yet"}


def _sections() -> dict[str, list[str]]:
    """Return the rows of the tables by their headings."""
    parts = re.split(r"^## ", (DOCS / PAGE).read_text(), flags=re.MULTILINE)[1:]
    return {
        part.partition("\n")[0]: [line for line in part.splitlines() if line.startswith("| ")][1:]
        for part in parts
    }


@pytest.mark.parametrize("heading", sorted(_sections().keys() - UNPROVED))
def test_every_line_names_a_test_that_is_there(heading: str) -> None:
    rows = _sections()[heading]

    assert len(rows) > 15
    assert [row for row in rows if not _tests(row)] == []
    missing = [name for row in rows for name, file in _tests(row) if not _has(file, name)]
    assert missing == []


def test_what_is_missing_or_replaced_is_said_with_its_reason() -> None:
    sections = _sections()

    assert sections.keys() >= UNPROVED
    for heading in UNPROVED:
        assert all(len(row.strip(" |").split(" | ")) >= 2 for row in sections[heading])


def _tests(row: str) -> list[tuple[str, Path]]:
    found = PROVED.findall(row)
    return [(f"test_{words.replace(' ', '_')}", DOCS.parent / file) for words, file in found]


def _has(file: Path, name: str) -> bool:
    return file.exists() and f"def {name}(" in file.read_text()
