"""What a failed download means, by the chain of causes yt-dlp leaves."""

import errno

import pytest

from consumers.errors import HostError, RefusedError, TransientError
from workers.media.fetching.fetch_faults import clean, judge, sentence
from workers.media.fetching.wire import Cause

TABLE = [
    # code, permanent, chain from the outermost inwards
    ("not_found", True, [Cause("DownloadError", "x"), Cause("HTTPError", status=404)]),
    ("not_found", True, [Cause("HTTPError", status=410)]),
    ("not_found", True, [Cause("HTTPError", status=451)]),
    ("auth", True, [Cause("HTTPError", status=401)]),
    ("auth", True, [Cause("HTTPError", status=403)]),
    ("unsupported", True, [Cause("HTTPError", status=418)]),
    ("bad_link", True, [Cause("HTTPError", "redirect loop detected", status=302)]),
    ("network", False, [Cause("HTTPError", status=103)]),
    ("network", False, [Cause("HTTPError", status=408)]),
    ("network", False, [Cause("HTTPError", status=500)]),
    ("network", False, [Cause("HTTPError", status=503)]),
    ("rate_limited", False, [Cause("HTTPError", status=429)]),
    ("too_large", True, [Cause("TooLargeError", "the download is larger than 1 GB")]),
    ("too_large", True, [Cause("DownloadError", "x"), Cause("OSError", errno=errno.EFBIG)]),
    ("too_large", True, [Cause("PostProcessingError", "x.mp4: File too large")]),
    ("too_long", True, [Cause("TooLongError", "it plays 99 s, the limit is 9 s")]),
    ("network", False, [Cause("TooSlowError", "the site is too slow")]),
    ("incomplete", False, [Cause("BrokenSegmentError", "a segment is a page")]),
    ("bad_option", True, [Cause("SyntaxError", "Invalid format specification")]),
    (
        "network",
        False,
        [
            Cause("DownloadError", "ERROR: unable to download video data: HTTP Error 403"),
            Cause("HTTPError", status=403),
        ],
    ),
    ("network", False, [Cause("DownloadError", "x"), Cause("TransportError", "refused")]),
    ("network", False, [Cause("TransportError"), Cause("gaierror", errno=-2)]),
    ("network", False, [Cause("TransportError", "timed out"), Cause("TimeoutError")]),
    (
        "network",
        False,
        [Cause("DownloadError", "Downloaded 1 bytes, expected 9. Giving up after 3")],
    ),
    ("network", False, [Cause("ContentTooShortError")]),
    ("network", False, [Cause("ExtractorError", "x", expected=True), Cause("IncompleteRead")]),
    (
        "unsupported",
        True,
        [Cause("DownloadError", "Unsupported URL: x"), Cause("UnsupportedError")],
    ),
    ("geo", True, [Cause("DownloadError", "x"), Cause("GeoRestrictedError")]),
    ("live", True, [Cause("LiveError", "x is a live broadcast")]),
    ("live", True, [Cause("UserNotLive")]),
    ("bad_link", True, [Cause("UnsupportedRequest", "file:// URLs are disabled by default")]),
    ("bad_link", True, [Cause("NoSupportingHandlers")]),
    ("bad_link", True, [Cause("ExtractorError", "'x' is not a valid URL", expected=True)]),
    ("bad_link", True, [Cause("InvalidURL", "nonnumeric port: '80\\\\'")]),
    ("bad_link", True, [Cause("UnicodeEncodeError", "'latin-1' codec can't encode")]),
    ("bad_link", True, [Cause("ValueError", "Invalid IPv6 URL")]),
    ("incomplete", False, [Cause("ValueError", "Incorrect AES key length (3 bytes)")]),
    ("rate_limited", False, [Cause("RobotCheckError", "confirm you're not a bot")]),
    (
        "rate_limited",
        False,
        [
            Cause("ExtractorError", "HTTP Error 403 caused by Cloudflare anti-bot challenge"),
            Cause("HTTPError", status=403),
        ],
    ),
    ("auth", True, [Cause("LoginPageError", "the site sends its login page")]),
    ("bad_certificate", True, [Cause("CertificateVerifyError")]),
    (
        "bad_certificate",
        True,
        [
            Cause("ExtractorError"),
            Cause("CertificateVerifyError"),
            Cause("SSLCertVerificationError", "self-signed certificate", errno=1),
        ],
    ),
    ("auth", True, [Cause("ExtractorError", "Private video. Sign in", expected=True)]),
    ("rate_limited", False, [Cause("ExtractorError", "confirm you're not a bot", expected=True)]),
    ("rate_limited", False, [Cause("ExtractorError", "has been rate-limited", expected=True)]),
    ("rate_limited", False, [Cause("HTTPError", status=503, retry_after=9.0)]),
    ("blocked_address", True, [Cause("DownloadError"), Cause("BlockedAddressError", "x")]),
    ("not_found", True, [Cause("ExtractorError", "Video unavailable", expected=True)]),
    ("not_found", True, [Cause("ExtractorError", "removed by the uploader", expected=True)]),
    ("unsupported", True, [Cause("ExtractorError", "is DRM protected", expected=True)]),
    ("unsupported", True, [Cause("ExtractorError", "something foreseen", expected=True)]),
    ("extractor_broken", False, [Cause("ExtractorError", "Unable to extract title")]),
    (
        "network",
        False,
        [Cause("TransportError", "refused"), Cause("PermissionError", errno=errno.EACCES)],
    ),
    ("auth", True, [Cause("ExtractorError", "Permission denied: log in", expected=True)]),
    ("download_failed", False, [Cause("KeyError", "'x'")]),
    ("download_failed", False, []),
]


@pytest.mark.parametrize(("code", "permanent", "chain"), TABLE)
def test_a_chain_of_causes_is_sorted_by_what_trying_again_could_do(
    code: str, chain: list[Cause], *, permanent: bool
) -> None:
    error = judge(chain)

    assert error.code == code
    assert isinstance(error, RefusedError if permanent else TransientError)


OF_THE_MACHINE = [
    ("disk_full", [Cause("UnavailableVideoError"), Cause("OSError", errno=errno.ENOSPC)]),
    ("disk_full", [Cause("PostProcessingError", "x.mp4: Disk quota exceeded")]),
    ("disk_full", [Cause("FFmpegPostProcessorError", "x.mp4: No space left on device")]),
    ("exhausted", [Cause("DownloadError", "x"), Cause("OSError", errno=errno.EMFILE)]),
    ("media_unwritable", [Cause("DownloadError", "x"), Cause("OSError", errno=errno.EROFS)]),
    ("media_unwritable", [Cause("DownloadError", "x"), Cause("PermissionError", errno=13)]),
    ("ffmpeg_missing", [Cause("PostProcessingError", "ffprobe and ffmpeg not found")]),
]


@pytest.mark.parametrize(("code", "chain"), OF_THE_MACHINE)
def test_what_the_machine_did_to_a_download_is_not_the_downloads_fault(
    code: str, chain: list[Cause]
) -> None:
    error = judge(chain)

    assert (type(error), error.code) == (HostError, code)


@pytest.mark.parametrize(
    "text",
    [
        "[site] geography-101: Unable to extract title",
        "ERROR: [site] login-flow: Unable to extract title",
        "[site:list] private: Unable to extract title",
        "[site] drm1: Unable to download JSON metadata",
        "[site] 1: Unable to extract geometry of the login1 form",
    ],
)
def test_an_id_and_a_part_of_a_word_are_no_reasons(text: str) -> None:
    error = judge([Cause("DownloadError", text), Cause("ExtractorError", text)])

    assert error.code == "extractor_broken"


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("[site] x: This video is geo-restricted", "geo"),
        ("[site] login: Private video", "auth"),
        ("[site] x: Use --cookies for the authentication", "auth"),
        ("[site] x: has been rate-limited", "rate_limited"),
        ("Private videos are not shown", "auth"),
    ],
)
def test_whole_words_are_reasons_in_any_of_their_forms(said: str, code: str) -> None:
    assert judge([Cause("ExtractorError", said, expected=True)]).code == code


@pytest.mark.parametrize("word", ["Read-only file system", "No space left on device"])
def test_what_a_site_says_blames_no_machine(word: str) -> None:
    gone = judge(
        [Cause("DownloadError", f"HTTP Error 404: {word}"), Cause("HTTPError", status=404)]
    )
    told = judge([Cause("ExtractorError", f"[site] 1: {word}", expected=True)])

    assert (gone.code, told.code) == ("not_found", "unsupported")


def test_the_sites_own_wait_is_kept_but_not_for_ever() -> None:
    soon = judge([Cause("HTTPError", status=503, retry_after=30.0)])
    never = judge([Cause("HTTPError", status=429, retry_after=1e9)])

    assert isinstance(soon, TransientError)
    assert isinstance(never, TransientError)
    assert (soon.after, never.after) == (30.0, 3600.0)


def test_a_message_loses_its_colours_and_the_request_to_report_it() -> None:
    said = (
        "\x1b[0;31mERROR:\x1b[0m [site] 1: Unable to extract title; please report this issue on x"
    )

    assert clean(said) == "[site] 1: Unable to extract title"


def test_a_chain_without_words_still_has_a_sentence() -> None:
    assert sentence([Cause("Error")]) == "the download failed without a reason"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("Unsupported URL: http://me:pw@e.org/a", "Unsupported URL: http://e.org/a"),
        ("ERROR: 'https://e.org/a?token=1&b=2' is odd", "'https://e.org/a?...' is odd"),
        ("is this all? https://e.org/a", "is this all? https://e.org/a"),
    ],
)
def test_links_in_messages_lose_what_may_open_a_door(said: str, told: str) -> None:
    assert clean(said) == told
