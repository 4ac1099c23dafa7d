"""Errors of one cause are one group, whatever differs from job to job."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.core.fingerprints import frames, group_of, normal, prefix

OWN = '  File "/home/ana/app/greet.py", line {line}, in handle\n    {code}\n'
LIBRARY = '  File "/home/ana/.venv/lib/python3.11/site-packages/pool/core.py", line 9, in get\n'
RUNNER = '  File "/srv/src/workers/runner.py", line 148, in _in_thread\n'
HEAD = "Traceback (most recent call last):\n"


def a_traceback(*frames_: str, error: str = "ValueError: no") -> str:
    return f"{HEAD}{''.join(frames_)}{error}\n"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("row 17 is empty", "row 2,041 is empty"),
        ("no such file: /var/media/u1/a.mp4", "no such file: /var/media/ana/clip b.mp4"),
        ("job 4a7326ac4824474c is gone", "job 9b1c06ac4824aaaa is gone"),
        ("lost 10.0.0.1:5672 after 3.5s", "lost 192.168.7.12:5671 after 12s"),
        ("cannot open 'one.txt'", "cannot open 'another one.txt'"),
        ('field "name" is missing', 'field "size" is missing'),
        ("https://a.example/v?id=1 is private", "https://b.example/w is private"),
        ("object at 0x7f3a10 died", "object at 0x55d0ff died"),
        ("user ana@example.com is unknown", "user bo.b@example.org is unknown"),
        ("e3b0c442-98fc-4c14-9afb-f4c8996fb924 late", "0b1e42aa-98fc-4c14-9afb-f4c8996fb000 late"),
        ("too  many\nspaces", "Too many spaces"),
    ],
)
def test_what_differs_from_job_to_job_makes_no_other_group(one: str, other: str) -> None:
    assert group_of(one, "x") == group_of(other, "x")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("the disk is full", "the network is down"),
        ("h264 is not supported", "vp9 is not supported"),
        ("can't open it", "won't open it"),
    ],
)
def test_other_words_are_another_group(one: str, other: str) -> None:
    assert group_of(one, "x") != group_of(other, "x")


def test_another_code_is_another_group_and_is_read_in_its_name() -> None:
    assert group_of("gone", "not_found").startswith("not_found-")
    assert group_of("gone", "not_found") != group_of("gone", "timeout")
    assert (prefix("Not Found!"), prefix("")) == ("not_found-", "error-")


def test_the_users_own_functions_count_and_not_their_lines_or_the_libraries() -> None:
    first = a_traceback(RUNNER, OWN.format(line=12, code="x = get()"), LIBRARY)
    moved = a_traceback(RUNNER, OWN.format(line=40, code="y = get()"))

    assert frames(first) == frames(moved) == ("app/greet.py:handle",)
    assert group_of("no", "x", first) == group_of("no", "x", moved) != group_of("no", "x")


def test_a_traceback_without_own_functions_is_known_by_where_it_ended() -> None:
    assert frames(a_traceback(RUNNER, LIBRARY)) == ("pool/core.py:get",)
    assert frames("") == ()


def test_of_a_chain_the_last_exception_counts_and_a_recursion_once() -> None:
    inner = a_traceback(OWN.format(line=1, code="a()").replace("handle", "inner"))
    outer = a_traceback(*[OWN.format(line=2, code="b()")] * 900)

    chained = f"{inner}\nDuring handling of the above exception, another exception occurred:\n"
    assert frames(f"{chained}\n{outer}") == ("app/greet.py:handle",)


@given(st.text(max_size=3000), st.text(max_size=60), st.text(max_size=500))
def test_whatever_is_said_has_a_group_of_a_plain_name(
    message: str, code: str, traceback: str
) -> None:
    group = group_of(message, code, traceback)

    assert group == group_of(message, code, traceback)
    assert group.isascii()
    assert len(group) <= 50
    assert group.startswith(prefix(code))


@given(st.integers(0, 10**12), st.integers(0, 10**12))
def test_numbers_never_tell_two_errors_apart(one: int, other: int) -> None:
    assert normal(f"attempt {one} of 3 fails") == normal(f"attempt {other} of 3 fails")
