"""What the download child makes of a site's words: headers, titles, pages in a film's place."""

from email.message import Message
from types import SimpleNamespace

import pytest

from workers.media.fetching import origin
from workers.media.fetching.child import causes, harvest, walls


def asked_to_wait(header: str) -> float | None:
    """Return what is made of a ``Retry-After``."""
    headers = Message()
    headers["Retry-After"] = header
    error = RuntimeError("refused")
    vars(error)["response"] = SimpleNamespace(headers=headers, url="http://site/")
    (cause,) = causes.describe(error)
    return cause.retry_after


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        ("-5", None),
        ("soon", None),
        ("Mon, 01 Jan 2001 00:00:00 GMT", 0.0),
        ("Mon, 01 Jan 99999999999 00:00:00 GMT", None),
        ("Mon, 01 Jan 2027 00:00:00 +" + "9" * 40, None),
    ],
)
def test_a_time_to_wait_is_read_or_let_be_and_stops_nothing(
    header: str, seconds: float | None
) -> None:
    assert asked_to_wait(header) == seconds


@pytest.mark.parametrize(
    ("said", "title"),
    [
        ("../../etc \x1b[31mred\x00\n\u202egpj.exe", "../../etc [31mred gpj.exe"),
        ("a family \U0001f468\u200d\U0001f469 ", "a family \U0001f468\u200d\U0001f469"),
        ("x" * 9000, "x" * harvest.LONGEST_TITLE),
        (None, ""),
    ],
)
def test_a_title_is_one_line_without_anything_that_acts_on_a_screen(
    said: str | None, title: str
) -> None:
    assert harvest.title({"title": said}) == title


@pytest.mark.parametrize(
    ("page", "wall"),
    [
        (b"<h1>Sign in to confirm you&#39;re not a bot</h1>", walls.RobotCheckError),
        (b"<p>Confirm you\xe2\x80\x99re not a bot", walls.RobotCheckError),
        (b"<title>Just a moment...</title>Verifying you are human.", walls.RobotCheckError),
        (b"<title>Log in - Site</title><input type='password'>", walls.LoginPageError),
        (b"<title>News</title><form><input type=password></form>", None),
        (b"<title>Log in to nature</title><p>about robots", None),
        (b"<p>Confirm you are not a robot to write to us." + b"<p>news" * 10_000, None),
    ],
)
def test_a_page_that_stands_before_the_film_is_known_by_what_it_asks_for(
    page: bytes, wall: type[Exception] | None
) -> None:
    found = walls.of(page)

    assert found is None if wall is None else type(found) is wall


@pytest.mark.parametrize(
    ("sent", "length", "is_rest"),
    [
        ("bytes 100-299/300", "200", True),
        ("bytes 100-299/300", "", True),
        ("bytes 100-299/300", "250", False),
        ("bytes 50-299/300", "250", False),
        ("", "200", False),
    ],
)
def test_the_rest_of_a_file_is_taken_only_if_it_is_as_long_as_it_says(
    sent: str, length: str, *, is_rest: bool
) -> None:
    headers = {"Content-Range": sent, "Content-Length": length}

    assert origin.is_rest(headers, "bytes=100-") is is_rest
