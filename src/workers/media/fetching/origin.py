"""Which bytes an unfinished file is made of, so that only the same are added to it.

A server that is asked for the rest of a file sends the rest of what it has by now. Beside every
``.part`` lies a note of the answer it began with; without one, or with an answer that says
nothing to recognise a file by, the download begins again.
"""

import re
from collections.abc import Mapping, Set
from pathlib import Path

import msgspec

SUFFIX = ".origin"
_TOTAL = re.compile(r"bytes\s+(?:\d+-\d+|\*)/(\d+)")
_SENT = re.compile(r"bytes\s+(\d+)-(\d+)/")
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


class Origin(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an answer says to recognise the file by."""

    etag: str = ""
    modified: str = ""
    size: int | None = None

    @property
    def validator(self) -> str:
        """The value for ``If-Range``; empty when there is nothing to recognise the file by.

        Weak etags do not vouch for single bytes, so the protocol does not allow them here.
        """
        return self.etag if self.etag and not self.etag.startswith("W/") else self.modified


def of(headers: Mapping[str, str]) -> Origin:
    """Return what an answer's headers tell; a partial answer names the whole size apart."""
    total = _TOTAL.match(headers.get("Content-Range") or "")
    length = total.group(1) if total else headers.get("Content-Length") or ""
    return Origin(
        etag=headers.get("ETag") or "",
        modified=headers.get("Last-Modified") or "",
        size=int(length) if length.isascii() and length.isdigit() else None,
    )


def is_same(before: Origin, now: Origin) -> bool:
    """Answer whether both are the same file: something in common, and nothing that differs."""
    pairs = ((before.etag, now.etag), (before.modified, now.modified), (before.size, now.size))
    known = [one == other for one, other in pairs if one and other]
    return bool(before.validator) and before.validator in {now.etag, now.modified} and all(known)


def resumes_at(value: str | None) -> tuple[int, bool]:
    """Return where a ``Range`` begins, and whether it is open: up to the end of the file."""
    match = _RANGE.fullmatch(value or "")
    return (int(match.group(1)), not match.group(2)) if match else (0, False)


def is_within(headers: Mapping[str, str], asked: str | None) -> bool:
    """Answer whether an answer has no bytes but those of a closed ``Range``; of others nothing."""
    wanted, sent = _RANGE.fullmatch(asked or ""), _SENT.match(headers.get("Content-Range") or "")
    if not wanted or not wanted.group(2):
        return True
    return sent is not None and sent.groups() == wanted.groups()


def is_rest(headers: Mapping[str, str], asked: str | None) -> bool:
    """Answer whether an answer has as many bytes as the stretch that it says it sends."""
    sent, (start, _) = _SENT.match(headers.get("Content-Range") or ""), resumes_at(asked)
    length = headers.get("Content-Length") or ""
    if sent is None or int(sent.group(1)) != start:
        return False
    is_number = length.isascii() and length.isdigit()
    return not is_number or int(length) == int(sent.group(2)) - start + 1


def note(part: Path, origin: Origin) -> None:
    """Write down where a part comes from, before its first byte; or that nobody can tell."""
    path = _beside(part)
    if not origin.validator:
        path.unlink(missing_ok=True)
        return
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_bytes(msgspec.json.encode(origin))
    fresh.rename(path)


def noted(part: Path) -> Origin | None:
    """Return where a part comes from, if that was written down."""
    try:
        return msgspec.json.decode(_beside(part).read_bytes(), type=Origin)
    except (OSError, msgspec.DecodeError):
        return None


def keep_resumable(folder: Path, whole: Set[Path] = frozenset()) -> tuple[Path, ...]:
    """Remove what an earlier attempt left in a folder, but for parts whose origin is known.

    Nor are files removed that are ``whole``.

    Segments go as well: a killed run may have appended one and not counted it. Return the parts.
    """
    parts = {path for path in folder.glob("*.part") if noted(path) and not _is_of_segments(path)}
    kept = parts | {_beside(part) for part in parts} | whole
    for path in folder.iterdir():
        if path.is_file() and path not in kept:
            path.unlink()
    return tuple(parts)


def _beside(part: Path) -> Path:
    return part.with_name(f"{part.name}{SUFFIX}")


def _is_of_segments(part: Path) -> bool:
    return part.with_suffix(".ytdl").exists()
