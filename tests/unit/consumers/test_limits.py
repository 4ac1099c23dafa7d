"""On whose account a job runs, and what limits are called."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.limits import LONGEST_KEY, NOBODY, Limits, Rate, key_of


@pytest.mark.parametrize(
    ("by", "data", "sender", "key"),
    [
        ("", {"a": 1}, "ana", ""),
        ("from", {}, "ana", "ana"),
        ("from", {}, "", NOBODY),
        ("host", {"link": "https://User@Example.COM:8443/x"}, "", "example.com"),
        ("host", {"url": "http://a.test/"}, "", "a.test"),
        ("host", {"link": "no link"}, "", NOBODY),
        ("host", {"link": "http://[half"}, "", NOBODY),
        ("host", {"link": 7}, "", NOBODY),
        ("host", {}, "ana", NOBODY),
        ("customer.id", {"customer": {"id": 17}}, "", "17"),
        ("customer.id", {"customer": {"id": "x"}}, "", "x"),
        ("customer.id", {"customer": "x"}, "", NOBODY),
        ("customer", {"customer": {"id": 17}}, "", NOBODY),
        ("paid", {"paid": True}, "", "true"),
        ("paid", {"paid": None}, "", NOBODY),
        ("paid", {"paid": ""}, "", NOBODY),
    ],
)
def test_the_key_of_a_job_is_what_its_pool_is_limited_by(
    by: str, data: dict[str, object], sender: str, key: str
) -> None:
    assert key_of(data, sender, by) == key


@given(st.text(), st.text())
def test_keys_are_short_sayable_and_different(one: str, other: str) -> None:
    keys = [key_of({}, sender * 100, "from") for sender in (one, other)]

    assert all(len(key.encode()) > 0 and len(key) <= LONGEST_KEY for key in keys)
    assert all("\0" not in key for key in keys)
    assert (keys[0] == keys[1]) == (one == other) or not (one and other)


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (Limits(), ""),
        (Limits(Rate(10, 1.0), burst=5), "10/s"),
        (Limits(Rate(2.5, 60.0)), "2.5/min"),
        (Limits(Rate(10, 60.0), by="from", concurrency=2), "10/min, 2 at once by from"),
        (Limits(by="host", concurrency=1), "1 at once by host"),
    ],
)
def test_limits_are_said_as_people_write_them(limits: Limits, words: str) -> None:
    assert limits.words == words
