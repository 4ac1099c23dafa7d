"""Which dead letters are meant, in words, and when each of many is sent."""

from datetime import UTC, datetime, timedelta
from itertools import islice

from supervisor.core.letters import LetterFilter, has_text, in_words, lasting, moments

AT = datetime(2026, 11, 22, 10, 0, 0, tzinfo=UTC)


def test_what_is_meant_is_said_in_words() -> None:
    assert in_words(LetterFilter()) == "all dead letters"
    assert in_words(LetterFilter(pool="cutter", code="timeout")) == "pool cutter, code timeout"
    assert in_words(LetterFilter(keys=(("q", "a"),))) == "job a"
    assert in_words(LetterFilter(keys=(("q", "a"), ("q", "b")))) == "of 2 jobs"
    assert in_words(LetterFilter(text="x", since=AT)) == (
        "text 'x', since 2026-11-22T10:00:00+00:00"
    )


def test_nothing_said_is_everything_and_an_empty_text_is_something() -> None:
    assert LetterFilter().is_everything
    assert not LetterFilter(sender="").is_everything


def test_a_text_is_found_in_upper_and_lower_case_and_in_bytes_that_are_no_text() -> None:
    assert has_text(("Straße",), "STRASSE")
    assert has_text((b"\xff\xfeAlpha",), "alpha")
    assert not has_text(("a", b"b"), "c")


def test_many_are_sent_one_after_the_other_at_their_rate_or_at_once() -> None:
    spaced = list(islice(moments(AT, 4.0), 3))

    assert spaced == [AT, AT + timedelta(seconds=0.25), AT + timedelta(seconds=0.5)]
    assert set(islice(moments(AT, None), 3)) == {AT}
    assert (lasting(5, 2.0), lasting(1, 2.0), lasting(9, None)) == (2.0, 0.0, 0.0)
