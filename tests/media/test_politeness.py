"""Sites are visited by few jobs at a time, and left alone when they ask for it; others go on."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from consumers.clock import SystemClock
from consumers.errors import HostError, RefusedError, TransientError
from tests.media.conftest import Clips
from tests.support.clocks import FakeClock
from tests.support.contexts import FakeContext
from tests.support.media_server import Answer, MediaServer, media_server
from workers import download, sites
from workers.media.amounts import Seconds
from workers.media.faults import fault
from workers.media.fetching import politeness
from workers.media.manners import SiteOptions
from workers.processor import Job

LINK = "http://www.example.com/clip.mp4"
ONE_AT_A_TIME = {"*": SiteOptions(concurrency=1, interval=Seconds(0))}


@pytest.fixture
def stage(tmp_path: Path) -> Path:
    folder = tmp_path / "stage"
    folder.mkdir()
    return folder


@pytest.fixture
def second_site() -> Iterator[MediaServer]:
    with media_server("127.0.0.2") as server:
        yield server


VISITOR = """
import asyncio, pathlib, sys
from tests.media.test_politeness import LINK, ONE_AT_A_TIME
from tests.support.contexts import FakeContext
from workers.media.fetching import politeness

async def stay():
    context = FakeContext(media=pathlib.Path(sys.argv[1]))
    async with politeness.visit(LINK, ONE_AT_A_TIME, context.media, context):
        print("inside", flush=True)
        await asyncio.sleep(60)

asyncio.run(stay())
"""


def visiting(media: Path) -> "subprocess.Popen[str]":
    """Start another process that enters the site and stays inside."""
    command = [sys.executable, "-c", VISITOR, str(media)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def job(link: str, name: str = "1") -> Job:
    return Job(id=name, queue="download_queue", data={"link": link}, sender="user123")


async def sent_away(
    link: str, stage: Path, context: FakeContext, options: Mapping[str, SiteOptions]
) -> TransientError:
    with pytest.raises(TransientError) as caught:
        async with politeness.visit(link, options, stage, context):
            pass
    return caught.value


async def refuse(
    link: str, stage: Path, context: FakeContext, *, after: float | None = None
) -> TransientError:
    """Visit a site that says it is visited too often; return what the job is told."""
    with pytest.raises(TransientError) as caught:
        async with politeness.visit(link, ONE_AT_A_TIME, stage, context):
            raise fault("rate_limited", "HTTP Error 429", after=after)
    return caught.value


async def test_a_job_that_finds_a_site_crowded_comes_back_without_an_attempt_lost(
    context: FakeContext, stage: Path
) -> None:
    async with politeness.visit(LINK, ONE_AT_A_TIME, stage, context):
        error = await sent_away("http://example.com/other", stage, context, ONE_AT_A_TIME)
        async with politeness.visit("http://example.org/", ONE_AT_A_TIME, stage, context):
            pass

    async with politeness.visit(LINK, ONE_AT_A_TIME, stage, context):
        pass
    assert (error.code, error.counts) == ("rate_limited", False)
    assert error.after is not None
    assert error.after >= sites.CROWD
    assert "example.com" in error.message


async def test_the_place_of_a_worker_that_was_killed_is_free_again(
    context: FakeContext, stage: Path
) -> None:
    with visiting(context.media) as other:
        assert other.stdout is not None
        assert await asyncio.to_thread(other.stdout.readline) == "inside\n"
        error = await sent_away(LINK, stage, context, ONE_AT_A_TIME)
        other.send_signal(signal.SIGKILL)

    async with politeness.visit(LINK, ONE_AT_A_TIME, stage, context):
        pass
    assert "1 jobs are visiting" in error.message


async def test_visits_to_one_site_begin_an_interval_apart(
    context: FakeContext, stage: Path
) -> None:
    options = {"*": SiteOptions(interval=Seconds(0.5))}
    began = []
    for _ in range(2):
        async with politeness.visit(LINK, options, stage, context):
            began.append(time.monotonic())

    assert began[1] - began[0] >= 0.45


async def test_a_site_that_refuses_is_closed_for_every_job_until_its_time_is_over(
    context: FakeContext, stage: Path
) -> None:
    first = await refuse(LINK, stage, context, after=900.0)

    second = await sent_away(LINK, stage, context, ONE_AT_A_TIME)
    async with politeness.visit("http://example.org/", ONE_AT_A_TIME, stage, context):
        pass

    assert [first.after, second.after] == pytest.approx([900.0, 900.0], abs=5)
    assert (first.counts, second.counts) == (False, False)
    assert second.message == "HTTP Error 429"
    assert [site.name for site, _ in sites.cooling(context.media, now=time_now())] == [
        "example.com"
    ]


async def test_without_a_time_the_site_is_closed_for_the_cool_down(
    context: FakeContext, stage: Path
) -> None:
    error = await refuse(LINK, stage, context)

    assert error.after == pytest.approx(300.0, abs=5)


async def test_a_job_that_was_sent_away_for_a_day_has_failed_an_attempt(
    context: FakeContext, stage: Path
) -> None:
    await refuse(LINK, stage, context)
    yesterday = time_now() - politeness.ENDURANCE - 60
    os.utime(stage / "waiting", (yesterday, yesterday))

    error = await sent_away(LINK, stage, context, ONE_AT_A_TIME)

    assert (error.code, error.counts) == ("rate_limited", True)


async def test_waiting_for_a_turn_is_no_failure_however_long_it_takes(
    context: FakeContext, stage: Path
) -> None:
    await refuse(LINK, stage, context, after=0.0)
    yesterday = time_now() - politeness.ENDURANCE - 60
    os.utime(stage / "waiting", (yesterday, yesterday))
    slowly = {"*": SiteOptions(interval=Seconds(10.0))}

    async with politeness.visit("http://example.org/", slowly, stage, context):
        turn = await sent_away("http://example.org/", stage, context, slowly)
    async with politeness.visit("http://example.net/", ONE_AT_A_TIME, stage, context):
        crowd = await sent_away("http://example.net/", stage, context, ONE_AT_A_TIME)

    assert "once in 10 s" in turn.message
    assert (turn.counts, crowd.counts) == (False, False)


async def test_records_that_say_nothing_any_more_are_swept_once_a_day(
    context: FakeContext, stage: Path
) -> None:
    clock = FakeClock()
    folder = context.media / sites.FOLDER

    async def visit(name: str) -> None:
        with contextlib.suppress(RefusedError):
            async with politeness.visit(f"http://{name}/", {}, stage, context, clock):
                raise fault("not_found", "HTTP Error 404")

    await visit("early.example")
    left = [path.stem for path in folder.glob("*.json")]
    os.utime(folder / "early.example.json", (0, 0))
    clock.now += 2 * politeness.SWEEP
    await visit("late.example")

    assert left == ["early.example"]
    assert [path.stem for path in folder.glob("*.json")] == ["late.example"]


async def test_other_failures_do_not_close_a_site(context: FakeContext, stage: Path) -> None:
    with pytest.raises(RefusedError):
        async with politeness.visit(LINK, ONE_AT_A_TIME, stage, context):
            raise fault("not_found", "HTTP Error 404")

    async with politeness.visit(LINK, ONE_AT_A_TIME, stage, context):
        pass
    assert list((context.media / sites.FOLDER).iterdir()) == []


async def test_a_host_of_any_length_and_look_has_a_record_of_its_own(
    context: FakeContext, stage: Path
) -> None:
    for host in ("a." * 120 + "example", "[::1]", "ex%2f..%2fample", "bücher.example"):
        await refuse(f"http://{host}/", stage, context)

    names = {site.name for site, _ in sites.cooling(context.media, now=time_now())}
    assert len(names) == 4
    assert {path.parent for path in context.media.rglob("*.json")} == {context.media / sites.FOLDER}


async def test_a_download_that_is_refused_spares_the_site_and_not_the_others(
    site: MediaServer, second_site: MediaServer, clips: Clips, context: FakeContext
) -> None:
    film = Answer(clips.short.read_bytes(), kind="video/mp4")
    in_a_while = format_datetime(SystemClock().utcnow() + timedelta(seconds=600), usegmt=True)
    limited = Answer(b"", 429, headers={"Retry-After": in_a_while})
    links = (site.serve("/a.mp4", limited), site.serve("/b.mp4", film))

    errors = []
    for n, link in enumerate(links):
        with pytest.raises(TransientError) as caught:
            await download.handle(job(link, str(n)), context)
        errors.append(caught.value)
    elsewhere = await download.handle(job(second_site.serve("/c.mp4", film), "3"), context)

    assert [(error.code, error.counts) for error in errors] == [("rate_limited", False)] * 2
    assert [error.after for error in errors] == pytest.approx([600.0, 600.0], abs=30)
    assert site.count("GET", "/b.mp4") == 0, "the second job did not ask"
    assert len(elsewhere.files) == 1


async def test_a_site_that_a_link_only_leads_to_is_spared_as_well_when_it_refuses(
    site: MediaServer, second_site: MediaServer, clips: Clips, context: FakeContext
) -> None:
    film = Answer(clips.short.read_bytes(), kind="video/mp4")
    there = second_site.serve("/a.mp4", Answer(b"", 429, headers={"Retry-After": "600"}))
    short = site.serve("/short", Answer(b"", 302, headers={"Location": there}))
    direct = second_site.serve("/b.mp4", film)

    errors = []
    for n, link in enumerate((short, direct)):
        with pytest.raises(TransientError) as caught:
            await download.handle(job(link, str(n)), context)
        errors.append(caught.value)

    assert [(error.code, error.counts) for error in errors] == [("rate_limited", False)] * 2
    assert [error.after for error in errors] == pytest.approx([600.0, 600.0], abs=30)
    assert second_site.count("GET", "/b.mp4") == 0, "the second job did not ask"


async def test_a_closed_site_is_not_visited_by_a_redirect_or_for_the_files_of_an_album(
    site: MediaServer, second_site: MediaServer, clips: Clips, context: FakeContext, stage: Path
) -> None:
    film = Answer(clips.short.read_bytes(), kind="video/mp4")
    there = second_site.serve("/two.mp4", film)
    site.serve("/one.mp4", film)
    page = f'<title>Album</title><video src="/one.mp4"></video><video src="{there}"></video>'
    links = (
        site.serve("/short", Answer(b"", 302, headers={"Location": there})),
        site.serve("/album", Answer(f"<html>{page}</html>".encode())),
    )
    await refuse(second_site.url, stage, context, after=600.0)

    errors = []
    for n, link in enumerate(links):
        with pytest.raises(TransientError) as caught:
            await download.handle(job(link, str(n)), context)
        errors.append(caught.value)
    record = context.media / sites.FOLDER / f"127.0.0.2{sites.RECORD}"
    before = list(second_site.asked)
    record.unlink()  # as if its time were over
    result = await download.handle(job(links[1], "1"), context)

    assert before == []
    assert [(error.code, error.counts) for error in errors] == [("rate_limited", False)] * 2
    assert [error.after for error in errors] == pytest.approx([600.0, 600.0], abs=30)
    assert "127.0.0.2 asked to be left alone" in errors[0].message
    assert len(result.files) == 2


async def test_a_job_that_was_done_is_answered_however_its_site_feels(
    site: MediaServer, clips: Clips, context: FakeContext, stage: Path
) -> None:
    link = site.serve("/a.mp4", Answer(clips.short.read_bytes(), kind="video/mp4"))
    first = await download.handle(job(link), context)
    await refuse(link, stage, context)

    assert await download.handle(job(link), context) == first


@pytest.mark.parametrize(
    "entry", [{"concurrency": 0}, {"interval": "soon"}, {"colour": "red"}, {"cool_down": -1}]
)
async def test_manners_nobody_can_keep_are_the_operators_to_correct(
    context: FakeContext, entry: Mapping[str, object]
) -> None:
    context.options = {"sites": {"example.com": entry}}

    with pytest.raises(HostError) as caught:
        await download.handle(job(LINK), context)

    assert caught.value.code == "bad_options"


def time_now() -> float:
    return SystemClock().utcnow().timestamp()
