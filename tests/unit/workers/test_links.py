"""What is the same link, which cookies belong to it, and how options are written."""

import os
import shutil
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.errors import HostError
from workers import holdings
from workers.media import settings
from workers.media.fetching import cookies, dedupe
from workers.media.fetching.wire import FetchRequest
from workers.media.files import workspace
from workers.processor import Job, Result, ResultFile


@pytest.mark.parametrize(
    ("link", "normal"),
    [
        ("HTTP://Example.ORG", "http://example.org/"),
        ("http://example.org:80/a", "http://example.org/a"),
        ("https://example.org:443/a", "https://example.org/a"),
        ("https://example.org:80/a", "https://example.org:80/a"),
        ("http://example.org./a#t=10", "http://example.org/a"),
        ("http://example.org/#!/video/1", "http://example.org/#!/video/1"),
        ("http://e.org/a?utm_source=x&v=1&fbclid=2", "http://e.org/a?v=1"),
        ("http://e.org/a?b=2&a=1", "http://e.org/a?a=1&b=2"),
        ("http://e.org/a?b=2&a=1&b=1", "http://e.org/a?b=2&a=1&b=1"),
        ("https://youtu.be/x?si=share", "https://youtu.be/x"),
        ("https://e.org/x?si=unit", "https://e.org/x?si=unit"),
        ("http://me:pw@e.org/A/b", "http://me:pw@e.org/A/b"),
        ("http://[::1]:8080/a", "http://[::1]:8080/a"),
    ],
)
def test_a_link_is_told_without_what_does_not_change_where_it_leads(link: str, normal: str) -> None:
    assert dedupe.normalised(link) == normal
    assert dedupe.normalised(normal) == normal


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz")), max_size=5))
def test_normalising_keeps_every_value_of_a_query(pairs: list[tuple[str, str]]) -> None:
    query = "&".join(f"{name}={value}" for name, value in pairs)

    told = dedupe.normalised(f"http://e.org/?{query}").partition("?")[2]

    assert sorted(told.split("&")) == sorted(query.split("&"))


def test_what_changes_the_files_changes_the_key_and_nothing_else_does() -> None:
    one = FetchRequest(link="http://e.org/a", folder="/1", ffmpeg="ffmpeg")
    same = FetchRequest(link="http://E.org/a#b", folder="/2", ffmpeg="/usr/bin/ffmpeg", min_rate=9)
    others = [
        FetchRequest(link="http://e.org/b", folder="/1", ffmpeg="ffmpeg"),
        FetchRequest(link="http://e.org/a", folder="/1", ffmpeg="ffmpeg", max_height=720),
        FetchRequest(link="http://e.org/a", folder="/1", ffmpeg="ffmpeg", audio_only=True),
        FetchRequest(link="http://e.org/a", folder="/1", ffmpeg="ffmpeg", subtitles=("en",)),
        FetchRequest(link="http://e.org/a", folder="/1", ffmpeg="ffmpeg", format="ba"),
        FetchRequest(link="http://e.org/a", folder="/1", ffmpeg="ffmpeg", allow=("10.0.0.0/8",)),
        FetchRequest(link="http://e.org/a", folder="/1", ffmpeg="ffmpeg", proxy="http://p:1"),
        FetchRequest(link="http://e.org/a", folder="/1", ffmpeg="ffmpeg", cookies="anna"),
        FetchRequest(link="http://e.org/a", folder="/1", ffmpeg="ffmpeg", cookies="bert"),
    ]

    keys = {dedupe.key(request) for request in (one, *others)}

    assert dedupe.key(one) == dedupe.key(same)
    assert len(keys) == 10


def test_what_a_list_leads_to_is_remembered_for_an_hour(tmp_path: Path) -> None:
    job, out = Job(id="a", queue="q", data={}), tmp_path / "out"
    folder = tmp_path / "results" / workspace.job_key(job)
    for path in (out, folder):
        path.mkdir(parents=True)
    (folder / "a.mp4").write_bytes(b"x")
    result = Result(files=(ResultFile(path="a.mp4", size=1, kind="video"),))
    manifest = workspace.Manifest(queue="q", id="a", result=result)
    (folder / holdings.MANIFEST).write_bytes(msgspec.json.encode(manifest))

    found = []
    for until in (None, 1000.0):
        dedupe.remember(tmp_path, "a", job, until=until)
        for now in (999.0, 1001.0, -2 * dedupe.REMEMBERED):  # the last: a clock that was set back
            found.append(dedupe.recall(tmp_path, "a", out, now=now) is not None)
            shutil.rmtree(out)
            out.mkdir()

    assert found == [True, True, True, True, False, False]


def test_of_a_jar_the_lines_of_the_site_are_taken_alone() -> None:
    def line(domain: str, wide: str = "TRUE") -> str:
        return f"{domain}\t{wide}\t/\tTRUE\t0\tname\tvalue\n"

    head = "# Netscape HTTP Cookie File\n\n"
    own = [line(".video.example.org"), line("#HttpOnly_www.Video.example.org", "FALSE")]
    above = [line(".example.org"), line("#HttpOnly_.example.org")]
    others = (".org", "bank.example.org", "notvideo.example.org", "#HttpOnly_.bank.org")
    foreign = [line("example.org", "FALSE"), *map(line, others), "half\ta line\n"]

    kept = cookies.of_site("video.example.org", "".join([head, *own, *foreign, *above]))

    assert kept == "".join([head, *own, *above])


def test_records_of_results_that_are_gone_are_swept(tmp_path: Path) -> None:
    kept, gone = (Job(id=name, queue="q", data={}) for name in ("kept", "gone"))
    (tmp_path / "results" / workspace.job_key(kept)).mkdir(parents=True)
    for name, job in (("a", gone), ("b", kept)):
        dedupe.remember(tmp_path, name, job)

    dedupe.sweep(tmp_path)

    assert [path.name for path in (tmp_path / "links").glob("*.json")] == ["b.json"]


def test_a_record_that_a_killed_worker_left_half_is_swept_after_a_day(tmp_path: Path) -> None:
    dedupe.remember(tmp_path, "a", Job(id="a", queue="q", data={}))
    old, young = (tmp_path / "links" / f".a.json.{pid}" for pid in (1, 2))
    for half in (old, young):
        half.touch()
    os.utime(old, (0, 0))

    dedupe.sweep(tmp_path)

    assert [half.exists() for half in (old, young)] == [False, True]


@pytest.mark.parametrize(
    ("host", "site"),
    [
        ("instagram.com", "instagram.com"),
        ("WWW.Instagram.com.", "instagram.com"),
        ("music.youtube.com", "music.youtube.com"),
        ("m.youtube.com", "youtube.com"),
        ("notinstagram.com", ""),
        ("instagram.com.evil.org", ""),
        ("", ""),
    ],
)
def test_cookies_go_to_a_site_and_what_lies_below_it(host: str, site: str) -> None:
    sites = {"instagram.com": "a", "youtube.com": "b", "music.youtube.com": "c"}

    assert cookies.site_of(host, sites) == site


def test_short_values_are_no_secrets_worth_hiding() -> None:
    text = "#HttpOnly_e.org\tTRUE\t/\tTRUE\t0\tsid\tlong-enough\ne.org\tTRUE\t/\tTRUE\t0\ta\t1\n"

    assert cookies.secrets(text) == {"long-enough"}


def test_sizes_and_times_are_written_as_elsewhere_in_the_configuration() -> None:
    chosen = settings.read({"max_size": "2GB", "max_duration": "90m", "min_rate": 0})

    assert (chosen.max_size, chosen.max_duration, chosen.min_rate) == (2_000_000_000, 5400.0, 0)


@pytest.mark.parametrize(
    "options",
    [{"max_size": "2 parsecs"}, {"max_duration": True}, {"patience": "-1s"}, {"cookies": ["a"]}],
)
def test_options_that_say_nothing_are_the_operators_to_correct(options: dict[str, object]) -> None:
    with pytest.raises(HostError, match="options: ") as caught:
        settings.read(options)

    assert caught.value.code == "bad_options"
