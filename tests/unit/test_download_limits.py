"""Whose limit a download ended at, and what to do about it."""

import msgspec
import pytest

from consumers.errors import RefusedError
from workers.media.faults import fault
from workers.media.fetching import wishes
from workers.media.fetching.fetch_faults import clean
from workers.media.fetching.wire import FetchRequest
from workers.media.settings import Settings

POOL = Settings()
ASKED = FetchRequest(
    link="https://example.org/clip",
    folder="/stage",
    ffmpeg="ffmpeg",
    max_size=int(POOL.max_size),
    max_duration=float(POOL.max_duration),
)


def refused(code: str, message: str = "the file is too much") -> RefusedError:
    error = fault(code, message)
    assert isinstance(error, RefusedError)
    return error


@pytest.mark.parametrize(
    ("code", "limit", "field"),
    [
        ("too_large", {"max_size": 1000}, "maxSize"),
        ("too_long", {"max_duration": 5.0}, "maxDuration"),
    ],
)
def test_a_jobs_own_limit_is_the_jobs_to_raise(
    code: str, limit: dict[str, object], field: str
) -> None:
    error = refused(code)

    own = wishes.owned(error, msgspec.structs.replace(ASKED, **limit), POOL)
    pools = wishes.owned(error, ASKED, POOL)

    assert (own.code, own.message) == (code, error.message)
    assert own.hint == f"the limit is the job's own {field}: raise it, or leave it out"
    assert pools.hint.startswith("raise the pool's max_")


def test_a_format_that_nothing_matches_is_the_jobs_mistake_and_named() -> None:
    said = clean("ERROR: Requested format is not available. Use --list-formats for a list of them")
    own = msgspec.structs.replace(ASKED, format="bv[height=9999]")

    named = wishes.owned(refused("unsupported", said), own, POOL)
    unasked = wishes.owned(refused("unsupported", said), ASKED, POOL)

    assert said == "Requested format is not available"
    assert named.code == "bad_option"
    assert named.message == "format: nothing behind this link matches bv[height=9999]"
    assert unasked.code == "unsupported"


def test_a_format_that_cannot_be_read_is_named() -> None:
    own = msgspec.structs.replace(ASKED, format="bv[[")

    error = wishes.owned(refused("bad_option", "Invalid format specification"), own, POOL)

    assert error.message == "format: Invalid format specification"
