"""``web_scraping``: title, text and links of a page of the configured site, and of no other.

Options: those of ``service.py``. A job names a path; an address from a stranger would let them
reach into your network.
"""

from html.parser import HTMLParser
from urllib.parse import urljoin

import msgspec
from typing_extensions import override

from examples.nine_queues.service import Call, address, call, check_host
from workers.processor import Job, JobContext, Result
from workers.registry import read

__all__ = ["Request", "check_host", "handle"]

LONGEST_TEXT = 50_000  # characters kept
MOST_LINKS = 500
_UNSEEN = frozenset({"script", "style", "template", "noscript"})


class Request(msgspec.Struct):
    """What a job says."""

    path: str


async def handle(job: Job, context: JobContext) -> Result:
    """Return what a reader sees of a page."""
    path = read(Request, job.data).path
    answer = await call(job, context, Call("GET", path))
    page = _Page(address(context.options, path))
    page.feed(answer.text)
    text = " ".join(" ".join(page.words).split())
    data = {"title": page.title.strip(), "text": text[:LONGEST_TEXT], "links": page.links}
    return Result(data=data)


class _Page(HTMLParser):
    def __init__(self, url: str) -> None:
        super().__init__()
        self.title = ""
        self.words: list[str] = []
        self.links: list[str] = []
        self._url = url
        self._open: list[str] = []

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note where a link leads, and what is not to be seen."""
        if tag in _UNSEEN or tag == "title":
            self._open.append(tag)
        target = dict(attrs).get("href") if tag == "a" else None
        if target and len(self.links) < MOST_LINKS:
            self.links.append(urljoin(self._url, target))

    @override
    def handle_endtag(self, tag: str) -> None:
        """Note that what is not to be seen is over."""
        if tag in self._open:
            self._open.remove(tag)

    @override
    def handle_data(self, data: str) -> None:
        """Keep the words that a reader sees."""
        if "title" in self._open:
            self.title += data
        elif not self._open:
            self.words.append(data)
