"""Every page that people read: no link of it leads nowhere, in the repository or within a page."""

import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("docs", "examples", "deploy", "bench")
PAGES = sorted(
    page.relative_to(ROOT)
    for page in (*ROOT.glob("*.md"), *(p for each in FOLDERS for p in (ROOT / each).rglob("*.md")))
)
LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)")
TITLE = re.compile(r"\[([^\]]*)\]\([^)]*\)")
BLOCK = re.compile(r"```.*?```", re.DOTALL)
CODE = re.compile(r"`[^`\n]*`")
ELSEWHERE = ("http://", "https://", "mailto:")


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_no_link_of_a_page_leads_nowhere(page: Path) -> None:
    text = CODE.sub("``", BLOCK.sub("", (ROOT / page).read_text()))
    links = [link for link in LINK.findall(text) if not link[0].startswith(ELSEWHERE)]
    found = [(_target(page, path), anchor) for path, anchor in links]

    assert [path for path, _ in found if not path.exists()] == []
    named = [(path, anchor) for path, anchor in found if anchor and path.suffix == ".md"]
    assert [f"{path}#{anchor}" for path, anchor in named if anchor not in _anchors(path)] == []


def test_the_pages_are_found() -> None:
    assert {Path("README.md"), Path("docs/README.md"), Path("bench/README.md")} < set(PAGES)


def _target(page: Path, path: str) -> Path:
    return ROOT / page.parent / path if path else ROOT / page


def _anchors(page: Path) -> set[str]:
    """Return what the headings of a page are called in its address."""
    seen: Counter[str] = Counter()
    names: set[str] = set()
    for heading in re.findall(r"^#+ (.*)$", BLOCK.sub("", page.read_text()), flags=re.MULTILINE):
        name = re.sub(r"[^\w\- ]", "", TITLE.sub(r"\1", heading).lower()).replace(" ", "-")
        names.add(f"{name}-{seen[name]}" if seen[name] else name)
        seen[name] += 1
    return names
