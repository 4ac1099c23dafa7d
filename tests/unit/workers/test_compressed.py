"""Answers that come compressed unasked: whole, cut off, or larger than anything should be."""

import gzip
import http.client
import io
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from workers.media.fetching.child import compressed
from workers.media.fetching.child.bounds import PAGE, TooLargeError

PAGE_TEXT = b"<video src='/a.mp4'></video>" * 5000


@dataclass
class Answer:
    """Implements the part of urllib's answers that is looked at."""

    body: bytes
    encoding: str
    url: str = "http://e.org/"
    code: int = 200
    msg: str = "OK"
    headers: Mapping[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.headers = {"Content-Encoding": self.encoding}
        self._stream = io.BytesIO(self.body)

    def read(self, size: int = -1) -> bytes:
        return self._stream.read(size)


def read(body: bytes, encoding: str) -> bytes:
    answer = compressed.unpacked(None, None, Answer(body, encoding))
    assert hasattr(answer, "read")
    return bytes(answer.read())


def bare(data: bytes) -> bytes:
    pack = zlib.compressobj(wbits=-15)
    return pack.compress(data) + pack.flush()


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (gzip.compress(PAGE_TEXT), "gzip"),
        (gzip.compress(PAGE_TEXT) + b"junk", "X-GZIP"),
        (zlib.compress(PAGE_TEXT), "deflate"),
        (bare(PAGE_TEXT), "deflate"),
        (PAGE_TEXT, "identity"),
        (PAGE_TEXT, ""),
    ],
)
def test_an_answer_is_read_as_it_is_meant(body: bytes, encoding: str) -> None:
    assert read(body, encoding) == PAGE_TEXT


def test_an_answer_without_a_body_has_none() -> None:
    assert read(b"", "gzip") == b""


def test_an_answer_that_breaks_off_is_not_taken_for_a_short_one() -> None:
    with pytest.raises(http.client.IncompleteRead):
        read(gzip.compress(PAGE_TEXT)[:-20], "gzip")


def test_an_answer_is_unpacked_up_to_the_size_of_a_page() -> None:
    assert len(read(gzip.compress(bytes(PAGE)), "gzip")) == PAGE
    with pytest.raises(TooLargeError):
        read(gzip.compress(bytes(PAGE + 1)), "gzip")
