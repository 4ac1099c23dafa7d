"""How long a stream in segments is, as its playlist says: what arrived is compared with that.

Pure. HLS (``#EXTM3U``) and DASH (``<MPD``).
"""

import re
from dataclasses import dataclass

_EXTINF = re.compile(rb"^#EXTINF:\s*(\d+(?:\.\d+)?)", re.MULTILINE)
_ADVERTISING = (b"#ANVATO-SEGMENT-INFO", b"#UPLYNK-SEGMENT")  # yt-dlp leaves such segments out
_BREAK = re.compile(rb"^#EXT-X-DISCONTINUITY\s*$", re.MULTILINE)
_MPD = re.compile(rb"<MPD\b[^>]*\bmediaPresentationDuration=\"(P[^\"]+)\"")
_PERIODS = re.compile(rb"<Period\b")
_PERIOD = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?")

LEEWAY, SHARE = 0.5, 0.01  # seconds, and of the whole: what containers round away
COARSE = 0.5  # seconds a segment whose length is written as a whole number may be off


@dataclass(frozen=True, slots=True)
class Length:
    """What a playlist says; ``leeway`` in seconds is how far off a whole file may be."""

    seconds: float
    leeway: float
    is_broken: bool = False  # in parts, whose times need not follow each other


def length(text: bytes) -> Length | None:
    """Return the length a playlist adds up to, or None where it says none."""
    head = text[:1024].lstrip(b"\xef\xbb\xbf \r\n\t")
    if head.startswith(b"#EXTM3U"):
        return _of_hls(text)
    return _of_dash(text) if b"<MPD" in head else None


def _of_hls(text: bytes) -> Length | None:
    written = _EXTINF.findall(text)
    if not written or any(mark in text for mark in _ADVERTISING):
        return None
    seconds = sum(map(float, written))
    coarse = COARSE * len(written) if not any(b"." in one for one in written) else 0.0
    is_broken = _BREAK.search(text) is not None
    return Length(seconds, max(LEEWAY, SHARE * seconds, coarse), is_broken=is_broken)


def _of_dash(text: bytes) -> Length | None:
    said = _MPD.search(text)
    match = _PERIOD.fullmatch(said.group(1).decode(errors="replace")) if said else None
    if match is None:
        return None
    days, hours, minutes, rest = (float(part or 0) for part in match.groups())
    seconds = ((days * 24 + hours) * 60 + minutes) * 60 + rest
    is_broken = len(_PERIODS.findall(text)) > 1
    return Length(seconds, max(LEEWAY, SHARE * seconds), is_broken=is_broken)
