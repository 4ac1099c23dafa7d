"""The fingerprint of an error: what thousands of failures of one cause have in common.

The message without what differs from job to job, the code, and the functions of the traceback that
are the user's own. Line numbers are left out: an edit elsewhere in the file makes no new error.
"""

import hashlib
import re
from collections.abc import Iterator

LONGEST = 600  # characters of a message that are looked at
TELLING = 400  # characters of what is left of it that count
DEEPEST = 8  # frames, the innermost ones
_LONGEST_CODE = 40  # characters of a code in a group's name

# In this order: what is left of one is not taken for another.
_PARTS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), put)
    for pattern, put in (
        (r"\b[a-z][a-z0-9+.-]{0,20}://[^\s'\"<>`]+", "<address>"),
        (r"[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64})+", "<address>"),
        (r"(?<!\w)'[^'\n]*'(?!\w)", "<text>"),
        (r'"[^"\n]*"', "<text>"),
        (r"`[^`\n]*`|“[^”\n]*”|«[^»\n]*»", "<text>"),
        (r"\b[a-z]:\\[^\s,;]+", "<path>"),
        (r"(?<![\w<>/.~])(?:~|\.{1,2})?/[^\s,;:()]+", "<path>"),
        (r"\b[\w.-]+(?:/[\w.-]+){2,}", "<path>"),
        (r"\b[\w-]+(?:\.[\w-]+)*\.[a-z][a-z0-9]{1,4}(?=[\s,;:)]|$)", "<path>"),
        (r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "<id>"),
        (r"\b0x[0-9a-f]+\b", "<address>"),
        (r"\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b", "<address>"),
        (r"\b(?=[\w-]{0,80}\d)(?=[\w-]{0,80}[a-z])[\w-]{8,}\b", "<id>"),
        (r"\b\d[\d.,:_+-]*[a-z%]{0,3}(?![\w])", "<n>"),
        (r"\s+", " "),
        (r"(<\w+>)(?:[ ,;:]+\1)+", r"\1"),  # lists, and names with spaces
    )
)
_FRAME = re.compile(r'^\s*File "([^"\n]+)", line \d+, in ([^\n]+)$', re.MULTILINE)
_BLOCK = "Traceback (most recent call last):"
# Of libraries, of Python itself, and of ourselves: the same for whatever a user's function does.
_FOREIGN = re.compile(
    r"^<|/site-packages/|/dist-packages/|/lib/python\d|/workers/(?:runner|context)\.py$"
)
_NOT_IN_NAMES = re.compile(r"[^a-z0-9_]+")


def group_of(message: str, code: str = "", traceback: str = "") -> str:
    """Return the name of the group that an error belongs to: its code and eight digits."""
    parts = (code, normal(message), *frames(traceback))
    digest = hashlib.blake2s("\n".join(parts).encode(errors="replace"), digest_size=4).hexdigest()
    return f"{prefix(code)}{digest}"


def prefix(code: str) -> str:
    """Return how the groups of all errors with this code begin."""
    word = _NOT_IN_NAMES.sub("_", code.lower())[:_LONGEST_CODE].strip("_")
    return f"{word or 'error'}-"


def normal(message: str) -> str:
    """Return a message without what differs from one job to the next."""
    left = message[:LONGEST]
    for pattern, put in _PARTS:
        left = pattern.sub(put, left)
    return left.strip().lower()[:TELLING]


def frames(traceback: str) -> tuple[str, ...]:
    """Return the user's own functions in a traceback, the innermost last; else where it ended."""
    # Of a chain of exceptions the last one is what the job failed with.
    found = list(_FRAME.findall(traceback.rpartition(_BLOCK)[2]))
    own = [frame for frame in found if not _FOREIGN.search(frame[0])] or found[-1:]
    return tuple(_once(own))[-DEEPEST:]


def _once(found: list[tuple[str, str]]) -> Iterator[str]:
    """Yield frames in words, one for a function that calls itself."""
    last = ""
    for file, function in found:
        said = f"{'/'.join(file.replace(chr(92), '/').split('/')[-2:])}:{function.strip()}"
        if said != last:
            yield said
        last = said
