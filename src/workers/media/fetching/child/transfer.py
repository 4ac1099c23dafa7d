"""One request of the download child: what it may ask for, and what its answer is held to.

Between yt-dlp and its network clients. The rest of a file is asked for only where it can be told
that it is the same file; reads are waited for under ``throughput``'s eyes; pages have an end.
"""

from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import Any, Protocol

from workers.media.amounts import amount
from workers.media.fetching import origin, playlists
from workers.media.fetching.child import walls
from workers.media.fetching.child.bounds import (
    PAGE,
    BrokenSegmentError,
    FinalAnswerError,
    TooLargeError,
)
from workers.media.fetching.child.throughput import Flow, Throughput
from workers.media.fetching.origin import Origin
from workers.media.fetching.playlists import Length

CHUNK = 65536
HEAD = 512  # bytes that yt-dlp reads of a page before the rest, to see what it is
_DIGITS = 1000  # of a length; Python reads no number of 4300
_HAS_NO_REST = frozenset({412, 416})


class Request(Protocol):
    """A request, as yt-dlp makes it."""

    url: str
    headers: MutableMapping[str, str]


class Response(Protocol):
    """An answer, as yt-dlp gives it; ``read`` is replaced by one that is watched."""

    url: str
    status: int
    headers: MutableMapping[str, str]
    read: Callable[..., bytes]

    def close(self) -> None:
        """Close the connection."""


Open = Callable[[Any], Response]


def _continues(response: Response, request: Request, before: Origin) -> bool:
    """Answer whether what comes is the rest of the same file, and no more than that."""
    is_rest = origin.is_rest(response.headers, request.headers.get("Range"))
    return is_rest and origin.is_same(before, origin.of(response.headers))


def _forget_nonsense(headers: MutableMapping[str, str]) -> None:
    """Take away a length that is none, as browsers do: yt-dlp would stumble over it."""
    said = headers.get("Content-Length")
    if said is not None and not (said.isascii() and said.isdigit() and len(said) <= _DIGITS):
        del headers["Content-Length"]


def _is_final(response: Response) -> bool:
    """Answer whether a refusal means that nobody should ask again at once, or ever."""
    if response.status == 503:
        return "Retry-After" in response.headers
    return response.status == 429 or 300 <= response.status < 400


class Transfers:
    """All requests of one download."""

    def __init__(self, throughput: Throughput) -> None:
        self._throughput = throughput
        self.part: Path | None = None  # the unfinished file that is being fetched at the moment
        self.is_transferring = False  # what is read in pieces now is media, not a page
        self.lengths: dict[str, Length] = {}  # of playlists, by link
        self.wall: Exception | None = None  # what the last page asked for before it shows a film
        self.trouble: Exception | None = None  # the last one, which yt-dlp may have made light of
        self.unsized: set[str] = set()  # parts of which nobody said how long they are

    def open(self, request: Request, do: Open) -> Response:
        """Make a request and return its answer, watched."""
        flow = Flow()
        with self._throughput.waiting(flow):
            response = self._patiently(request, do)
        _forget_nonsense(response.headers)
        self._watch(response, flow, request.url)
        return response

    def _patiently(self, request: Request, do: Open) -> Response:
        try:
            return self._ask(request, do)
        except Exception as error:
            answer = getattr(error, "response", None)
            if self.is_transferring and answer is not None and _is_final(answer):
                raise FinalAnswerError(answer.status, answer) from error
            self.trouble = error
            raise

    def _ask(self, request: Request, do: Open) -> Response:
        request.headers["Accept-Encoding"] = "identity"
        start, is_open = origin.resumes_at(request.headers.get("Range"))
        if self.part is None:
            if start and is_open:  # the rest of a segment
                del request.headers["Range"]
            return self._within(request, do(request))
        before = origin.noted(self.part)
        if not start or before is None:
            return self._begin(request, do)
        return self._resume(request, do, before)

    def _within(self, request: Request, response: Response) -> Response:
        """Refuse a whole file where a stretch of it was asked for as a segment."""
        asked = request.headers.get("Range")
        if self.is_transferring and not origin.is_within(response.headers, asked):
            response.close()
            message = f"the site does not send {asked} of a stream alone, but more or less"
            raise BrokenSegmentError(message)
        return response

    def _resume(self, request: Request, do: Open, before: Origin) -> Response:
        request.headers["If-Range"] = before.validator
        try:
            response = do(request)
        except Exception as error:
            if getattr(error, "status", None) not in _HAS_NO_REST:
                raise
            return self._begin(request, do)
        if response.status == 206 and not _continues(response, request, before):
            response.close()
            return self._begin(request, do)
        if response.status != 206:
            self._note(response)
        return response

    def _begin(self, request: Request, do: Open) -> Response:
        """Ask for all of it, or for the first bytes where yt-dlp asks in steps."""
        start, _ = origin.resumes_at(request.headers.get("Range"))
        if start:
            del request.headers["Range"]
        if "If-Range" in request.headers:
            del request.headers["If-Range"]
        response = do(request)
        self._note(response)
        return response

    def _note(self, response: Response) -> None:
        if self.part is None:
            return
        seen = origin.of(response.headers)
        origin.note(self.part, seen)
        if seen.size is None:
            self.unsized.add(self.part.name)

    def _watch(self, response: Response, flow: Flow, link: str) -> None:
        read, head = response.read, bytearray()

        def watched(size: int | None = None) -> bytes:
            if size is None or size < 0:
                return self._whole(link, bytes(head), lambda: some(CHUNK))
            return some(size)

        def some(size: int) -> bytes:
            with self._throughput.waiting(flow):
                data = read(size)
                flow.arrived += len(data)
            if not head:
                self._refuse_page(data)
            if len(head) < HEAD:
                head.extend(data)
            return data

        response.read = watched

    def _refuse_page(self, data: bytes) -> None:
        """Refuse a segment that is a page; of a whole file ffprobe says what it is."""
        is_segment = self.is_transferring and self.part is None
        if is_segment and data.lstrip()[:14].lower().startswith((b"<html", b"<!doctype html")):
            raise BrokenSegmentError("a segment of the stream is a page instead")

    def _whole(self, link: str, head: bytes, more: Callable[[], bytes]) -> bytes:
        page = bytearray()
        while data := more():
            page += data
            if len(page) > PAGE:
                message = f"a page of the site is larger than {amount(PAGE)}"
                raise TooLargeError(message)
        self.wall = walls.of(head + page)
        length = playlists.length(head + page)
        if length is not None:
            self.lengths[link] = length
        return bytes(page)
