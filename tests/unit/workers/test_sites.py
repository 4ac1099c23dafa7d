"""When a job may visit a site: so many at a time, so often, and not while it wants to be alone."""

from pathlib import Path

import msgspec
import pytest

from workers import sites
from workers.media.amounts import Seconds
from workers.media.manners import SiteOptions, of_host
from workers.sites import ComeBack, Enter, Manners, Site

NOW = 1_000_000.0
MANNERS = Manners(concurrency=2, interval=1.0, cool_down=300.0, longest=3600.0)
QUIET = Site("example.com")


def arrive(site: Site, now: float = NOW, *, has_room: bool = True) -> Enter | ComeBack:
    return sites.arrive(site, MANNERS, now=now, has_room=has_room)


def closed(site: Site = QUIET, now: float = NOW, asked: float | None = None) -> Site:
    return sites.refused(site, MANNERS, now=now, asked=asked, why="slow down")


def test_a_site_that_is_quiet_is_entered_at_once() -> None:
    verdict = arrive(QUIET)

    assert isinstance(verdict, Enter)
    assert verdict.after == 0.0


def test_visits_begin_an_interval_apart() -> None:
    first = arrive(QUIET)
    second = arrive(first.site)
    third = arrive(second.site)

    assert [type(verdict) for verdict in (first, second, third)] == [Enter, Enter, Enter]
    assert [verdict.after for verdict in (first, second, third)] == [0.0, 1.0, 2.0]


def test_who_would_wait_for_long_comes_back_instead_of_keeping_a_place() -> None:
    slow = Manners(interval=60.0)
    first = sites.arrive(QUIET, slow, now=NOW, has_room=True)

    second = sites.arrive(first.site, slow, now=NOW + 1, has_room=True)
    third = sites.arrive(second.site, slow, now=NOW + 1, has_room=True)

    assert (type(second), second.after) == (ComeBack, 59.0)
    assert (type(third), third.after) == (ComeBack, 119.0), "they come back one after the other"


def test_a_crowded_site_sends_jobs_away_one_after_the_other() -> None:
    first = arrive(QUIET, has_room=False)
    second = arrive(first.site, has_room=False)

    assert (type(first), first.after) == (ComeBack, sites.CROWD)
    assert (type(second), second.after) == (ComeBack, sites.CROWD + sites.SPREAD)
    assert isinstance(first, ComeBack)
    assert "2 jobs are visiting example.com" in first.why


def test_a_site_that_refuses_is_left_alone_and_then_tried_by_one() -> None:
    site = closed()

    early, in_time = arrive(site, NOW + 10), arrive(site, NOW + 300)

    assert (type(early), early.after) == (ComeBack, 290.0)
    assert isinstance(early, ComeBack)
    assert early.why == "slow down"
    assert isinstance(in_time, Enter)


def test_the_pause_doubles_up_to_the_longest_until_a_visit_goes_well() -> None:
    site, pauses, now = QUIET, [], NOW
    for _ in range(6):
        site = closed(site, now)
        pauses.append(site.cools_until - now)
        now = site.cools_until + 1

    again = closed(sites.welcomed(site), now)

    assert pauses == [300.0, 600.0, 1200.0, 2400.0, 3600.0, 3600.0]
    assert again.cools_until - now == 300.0


def test_a_time_the_site_names_is_kept_up_to_the_longest() -> None:
    assert closed(asked=7.0).cools_until == NOW + 7.0
    assert closed(asked=1e9).cools_until == NOW + 3600.0


def test_those_who_were_inside_when_it_closed_do_not_double_the_pause() -> None:
    first = closed()

    second = closed(first, NOW + 5)
    third = closed(first, NOW + 5, asked=1.0)

    assert second.cools_until == third.cools_until == first.cools_until


def test_a_clock_that_was_set_back_does_not_close_a_site_for_years() -> None:
    verdict = arrive(closed(now=NOW + 1e8))

    assert isinstance(verdict, ComeBack)
    assert verdict.after <= MANNERS.longest


def test_what_says_nothing_any_more_is_forgotten() -> None:
    entered = arrive(QUIET).site

    assert not sites.is_forgettable(entered, now=NOW)
    assert sites.is_forgettable(entered, now=NOW + 2)
    assert not sites.is_forgettable(closed(), now=NOW + 301), "the next pause is longer"


def test_the_sites_that_cool_are_read_from_what_workers_wrote(tmp_path: Path) -> None:
    folder = tmp_path / sites.FOLDER
    folder.mkdir()
    (folder / "a.json").write_bytes(msgspec.json.encode(closed()))
    (folder / "b.json").write_bytes(msgspec.json.encode(QUIET))
    (folder / "c.json").write_bytes(b'{"half')

    found = [(site.name, left) for site, left in sites.cooling(tmp_path, now=NOW + 60)]

    assert found == [("example.com", 240.0)]
    assert list(sites.cooling(tmp_path / "nowhere", now=NOW)) == []


@pytest.mark.parametrize(
    ("host", "site", "interval"),
    [
        ("www.Example.com", "example.com", 9.0),
        ("cdn.example.com", "example.com", 9.0),
        ("notexample.com", "notexample.com", 3.0),
        ("127.0.0.1", "127.0.0.1", 3.0),
        ("", "", 3.0),
    ],
)
def test_a_host_is_treated_like_the_site_it_belongs_to(
    host: str, site: str, interval: float
) -> None:
    options = {
        "example.com": SiteOptions(interval=Seconds(9)),
        "*": SiteOptions(interval=Seconds(3), concurrency=7),
    }

    name, manners = of_host(host, options)

    assert (name, manners.interval, manners.concurrency) == (site, interval, 7)


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("youtu.be", "youtube.com"),
        ("m.youtube.com", "youtube.com"),
        ("WWW.YouTube.com.", "youtube.com"),
        ("vm.tiktok.com", "tiktok.com"),
        ("m.com", "m.com"),
        ("www.com", "www.com"),
        ("", ""),
    ],
)
def test_a_site_has_one_name_however_it_is_called(host: str, name: str) -> None:
    assert sites.name_of(host) == name


def test_only_a_site_that_wants_to_be_alone_is_closed() -> None:
    verdicts = [arrive(closed()), arrive(QUIET, has_room=False)]

    assert [isinstance(one, ComeBack) and one.is_closed for one in verdicts] == [True, False]
