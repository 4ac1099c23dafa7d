"""Answers that a site sends compressed although it was asked not to: unpacked, but not for ever.

A page of half a megabyte may unfold to a thousand times as much, so it is unpacked step by step
and given up at the size that no page has.
"""

import http.client
import io
import urllib.response
import zlib
from collections.abc import Mapping
from typing import Protocol

from workers.media.amounts import amount
from workers.media.fetching.child.bounds import PAGE, TooLargeError

CHUNK = 65536
KNOWN = frozenset({"gzip", "x-gzip", "deflate"})
_ANY_HEADER = zlib.MAX_WBITS | 32  # gzip's or zlib's, whichever is there


class Response(Protocol):
    """An answer, as urllib gives it."""

    headers: Mapping[str, str]
    url: str
    code: int
    msg: str

    def read(self, size: int) -> bytes:
        """Return the next bytes."""


def unpacked(_handler: object, _request: object, response: Response) -> object:
    """Return an answer as it is meant; for urllib's handlers.

    Raises:
        TooLargeError: it would be larger than a page may be.
        IncompleteRead: its end is missing.
    """
    said = response.headers.get("Content-Encoding") or ""
    encodings = [name.strip().lower() for name in said.split(",") if name.strip()]
    if len(encodings) != 1 or encodings[0] not in KNOWN:
        return response
    body = io.BytesIO(_unpack(response))
    meant = urllib.response.addinfourl(body, response.headers, response.url, response.code)  # type: ignore[arg-type]
    meant.msg = response.msg  # type: ignore[attr-defined]
    return meant


def _unpack(response: Response) -> bytes:
    data = response.read(CHUNK)
    if not data:  # only the head was asked for
        return b""
    header = -zlib.MAX_WBITS if _is_bare(data, response) else _ANY_HEADER
    page, unpacking = bytearray(), zlib.decompressobj(header)
    while data and not unpacking.eof:
        page += unpacking.decompress(data, PAGE + 1 - len(page))
        if len(page) > PAGE:
            message = f"a page of the site unpacks to more than {amount(PAGE)}"
            raise TooLargeError(message)
        data = response.read(CHUNK)
    if not unpacking.eof:
        raise http.client.IncompleteRead(bytes(page))
    return bytes(page)


def _is_bare(data: bytes, response: Response) -> bool:
    """Answer whether a deflated page lacks its header: some servers leave it out."""
    is_deflated = "deflate" in (response.headers.get("Content-Encoding") or "").lower()
    has_header = data[0] & 15 == zlib.DEFLATED and int.from_bytes(data[:2]) % 31 == 0
    return is_deflated and not has_header
