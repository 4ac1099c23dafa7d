"""What a failed download means: the chain of exceptions in, one sorted error out.

Pure. The inner causes decide before the outer ones: yt-dlp marks an error as foreseen when a
network error was merely active, so the wrapper's word counts last.
"""

import errno
import re
from collections.abc import Iterable, Sequence

from consumers.errors import TransientError, WorkError
from workers.media.faults import FULL, fault
from workers.media.fetching.wire import Cause

REFUSED = "rate_limited"  # the code of what a site says when it wants to be left alone
_OVER_THE_CAP = errno.EFBIG  # the child's own limit, which is not of the disk
_OUT_OF_MEANS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
_GONE = frozenset({404, 410, 451})
_LATER = frozenset({408, 425, 429})
_LONGEST_WAIT = 3600.0  # a site's Retry-After is believed up to here

_CLOSED = "ClosedSiteError"

# What our own guard refused.
_FORBIDDEN = {
    _CLOSED: REFUSED,
    "BlockedAddressError": "blocked_address",
    "ForeignSchemeError": "bad_link",
    "ForeignClientError": "unsupported",
}

_BY_KIND = {
    "LiveError": "live",
    "UserNotLive": "live",
    "TooLargeError": "too_large",
    "TooLongError": "too_long",
    "TooSlowError": "network",
    "NoRoomError": "disk_full",
    "NothingArrivedError": "unsupported",
    "RobotCheckError": REFUSED,
    "LoginPageError": "auth",
    "BrokenSegmentError": "incomplete",
    "_UnsafeExtensionError": "unsupported",  # a site names its file as a program
    "SyntaxError": "bad_option",  # of yt-dlp's language for choosing a format
    "GeoRestrictedError": "geo",
    "UnsupportedError": "unsupported",
    "UnavailableVideoError": "unsupported",
    "UnsupportedRequest": "bad_link",
    "NoSupportingHandlers": "bad_link",
    "InvalidURL": "bad_link",  # a redirect's, mostly; the job's own link was looked at before
    "UnicodeEncodeError": "bad_link",
    "UnicodeError": "bad_link",  # no host has such a name
    "CertificateVerifyError": "bad_certificate",
    "SSLCertVerificationError": "bad_certificate",
    "ContentTooShortError": "network",
    "IncompleteRead": "network",
    "TransportError": "network",
    "SSLError": "network",
    "ProxyError": "network",
    "TimeoutError": "network",
    "gaierror": "network",
    "ConnectionError": "network",
    "ConnectionRefusedError": "network",
    "ConnectionResetError": "network",
    "BrokenPipeError": "network",
}

_OF_THE_WAY = frozenset({"network", "bad_certificate"})  # to the site, which no disk lies on

# Whole words, the most telling first: "private" must not be read as a mere "unavailable".
_BY_TEXT = (
    ("giving up after", "network"),
    ("did not get any data blocks", "network"),
    ("timed out", "network"),
    ("connection reset", "network"),
    ("the downloaded file is empty", "too_large"),
    ("not a bot", "rate_limited"),
    ("rate-limit", "rate_limited"),
    ("rate limit", "rate_limited"),
    ("too many requests", "rate_limited"),
    ("--cookies", "auth"),
    ("login", "auth"),
    ("log in", "auth"),
    ("sign in", "auth"),
    ("private", "auth"),
    ("members", "auth"),
    ("confirm your age", "auth"),
    ("in your country", "geo"),
    ("geo", "geo"),
    ("georestrict", "geo"),
    ("drm", "unsupported"),
    ("copyright", "not_found"),
    ("removed", "not_found"),
    ("no longer available", "not_found"),
    ("does not exist", "not_found"),
    ("unavailable", "not_found"),
    ("is not a valid url", "bad_link"),
    ("urls are disabled", "bad_link"),
    ("invalid ipv6 url", "bad_link"),
    ("incorrect aes key", "incomplete"),  # a page in the place of a key
    ("data must be padded", "incomplete"),  # or of what it opens
    ("unsupported url", "unsupported"),
    ("no video formats found", "unsupported"),
    ("requested format is not available", "unsupported"),
    ("unable to obtain file audio codec", "not_media"),
    ("ffmpeg not found", "ffmpeg_missing"),
    ("ffmpeg could not be found", "unsupported"),  # to fetch with: it is not allowed to
    ("could not be run. please install", "unsupported"),
)

# Said by the ffmpeg that joins files on our own disk. Else error numbers tell: sites say that too.
_OF_OUR_DISK = (
    ("no space left on device", "disk_full"),
    ("disk quota exceeded", "disk_full"),
    ("read-only file system", "media_unwritable"),
    ("file too large", "too_large"),
)

_PROCESSORS = frozenset({"PostProcessingError", "FFmpegPostProcessorError"})

# What reads a site's pages; the second is a page that is not as it was.
_OF_AN_EXTRACTOR = frozenset({"ExtractorError", "RegexNotFoundError"})

# What yt-dlp puts before a message. An id is made of any words: no reason is read from it.
_SITE_AND_ID = re.compile(r"^(ERROR:\s*)?\[[^\]\s]+\]\s+(\S+:\s+)?")
_VAGUE = re.compile(r"^Unable to handle request: \d+ unexpected error")
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_LOGIN = re.compile(r"(https?://)[^/\s@]+@")
_QUERY = re.compile(r"(https?://[^\s?]+)\?[^\s'\"]+")
_ASIDE = re.compile(
    r"[;.]?\s*(please report this issue on|Confirm you are on the latest|\(caused by "
    r"|Use --list-formats for|Use --enable-file-urls|If you believe this is an error).*",
    re.DOTALL,
)


class SiteRefusedError(TransientError):
    """A site wants to be left alone: ``host``, wherever the link led; ``is_known`` from before."""

    def __init__(self, error: WorkError, host: str, *, after: float | None, is_known: bool) -> None:
        super().__init__(error.message, code=error.code, hint=error.hint, after=after)
        self.host = host
        self.is_known = is_known


def judge(causes: Sequence[Cause]) -> WorkError:
    """Return the error that a chain of causes, outermost first, amounts to."""
    error = _judged(causes)
    if not isinstance(error, TransientError) or error.code != REFUSED:
        return error
    closed = next((cause for cause in causes if cause.kind == _CLOSED), None)
    host = next((cause.host for cause in reversed(causes) if cause.host), "")
    after = closed.retry_after if closed else error.after
    return SiteRefusedError(error, host, after=after, is_known=closed is not None)


def _judged(causes: Sequence[Cause]) -> WorkError:
    message = sentence(causes)
    inner_first = tuple(reversed(causes))
    for cause in inner_first:
        if cause.kind in _FORBIDDEN:  # whatever the libraries around it made of that
            return fault(_FORBIDDEN[cause.kind], clean(cause.text))
    of_host = _by_number(causes) or _of_our_disk(causes)
    if of_host:
        return fault(of_host, message)
    for cause in inner_first:
        if cause.status is not None:
            return _by_status(cause, message)
    code = _by_kind(inner_first) or _said(_BY_TEXT, causes) or _left_over(causes)
    return fault(code, message)


def sentence(causes: Sequence[Cause]) -> str:
    """Return what to tell a person: the outermost words, without yt-dlp's decoration."""
    words = [clean(cause.text) for cause in causes if not _VAGUE.search(cause.text)]
    spoken = next(filter(None, words), "")
    return spoken or "the download failed without a reason"


def clean(text: str) -> str:
    """Return a message on one line, without colours, ``ERROR:``, repetitions and pleas.

    Links lose what may open a door: names and passwords, and their queries.
    """
    text = _ASIDE.sub("", _COLOURS.sub("", text).replace("\r", " "))
    text = _QUERY.sub(r"\1?...", _LOGIN.sub(r"\1", text))
    return " ".join(text.split()).removeprefix("ERROR: ")


def _by_status(cause: Cause, message: str) -> WorkError:
    status = cause.status or 0
    if status in _LATER or status < 200 or status >= 500:
        after = None if cause.retry_after is None else min(cause.retry_after, _LONGEST_WAIT)
        is_limited = status == 429 or (status == 503 and after is not None)
        return fault(REFUSED if is_limited else "network", message, after=after)
    if status in _GONE:
        return fault("not_found", message)
    if status == 403 and "anti-bot challenge" in message:
        return fault(REFUSED, message)
    if status in {401, 403}:
        # A page that says 403 wants a login; a media URL that says it has merely grown old.
        aged = status == 403 and "unable to download video data" in message
        return fault("network" if aged else "auth", message)
    return fault("unsupported" if status >= 400 else "bad_link", message)


def _by_kind(inner_first: Iterable[Cause]) -> str:
    return next((_BY_KIND[cause.kind] for cause in inner_first if cause.kind in _BY_KIND), "")


def _by_number(causes: Sequence[Cause]) -> str:
    """Return what the machine did to the download, as far as error numbers tell."""
    for cause in causes:
        if cause.errno == _OVER_THE_CAP:
            return "too_large"
        if cause.errno in FULL:
            return "disk_full"
        if cause.errno in _OUT_OF_MEANS:
            return "exhausted"
        if cause.errno == errno.EROFS:
            return "media_unwritable"
    # A firewall denies a connection with the same number as a folder a file, and numbers of TLS
    # are no numbers of the system.
    is_network = any(_BY_KIND.get(cause.kind) in _OF_THE_WAY for cause in causes)
    is_denied = any(cause.errno in {errno.EACCES, errno.EPERM} for cause in causes)
    return "media_unwritable" if is_denied and not is_network else ""


def _said(table: Iterable[tuple[str, str]], causes: Sequence[Cause]) -> str:
    said = " ".join(_SITE_AND_ID.sub("", _COLOURS.sub("", cause.text)) for cause in causes).lower()
    return next((code for part, code in table if _occurs(part, said)), "")


def _occurs(part: str, text: str) -> bool:
    """Answer whether words occur in a text, and not as a part of others."""
    words = rf"(?<![a-z0-9]){re.escape(part)}(s|ed|ing)?(?![a-z0-9])"
    return re.search(words, text) is not None


def _of_our_disk(causes: Sequence[Cause]) -> str:
    if any(cause.status is not None for cause in causes):
        return ""
    return _said(_OF_OUR_DISK, [cause for cause in causes if cause.kind in _PROCESSORS])


def _left_over(causes: Sequence[Cause]) -> str:
    for cause in causes:
        if cause.kind in _OF_AN_EXTRACTOR:
            return "unsupported" if cause.expected else "extractor_broken"
    return "download_failed"
