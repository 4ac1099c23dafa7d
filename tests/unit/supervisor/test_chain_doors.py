"""A job that says what follows it, where it comes in: taken, or refused in the same words."""

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec
import pytest

from consumers.desk import Condemn, Run
from consumers.jobs import Properties
from consumers.topology import pool_queues
from supervisor.cli.chaining import following_of
from supervisor.core.intake import BadRowError, Row, Terms, called
from supervisor.core.intake import order as row_order
from supervisor.core.records import Charge, PoolCard
from supervisor.orders import Door, job_of
from supervisor.ports import BadOrderError, Order
from tests.support.offices import CARD, FIRST, SECOND, Office, a_claim, an_office
from tests.support.sessions import QUEUES

NOW = datetime(2026, 5, 1, tzinfo=UTC)
PREVIEW = PoolCard("preview", pool_queues("preview_queue"))
TYPED = PoolCard("mails", pool_queues("mails"), types=("a", "b"), needs_type=True)
POOLS = {card.name: card for card in (CARD, PREVIEW, TYPED)}
LINK = {"link": "http://127.0.0.1/clip"}
THERE = "there are: download, preview, mails"


def ordered(data: Mapping[str, object], then: object = None) -> Mapping[str, object]:
    """Return the body of the job that an order becomes."""
    door = Door("", 1000, POOLS)
    job = job_of(Order("download", data, then=then), CARD, door, now=NOW)
    found: Mapping[str, object] = msgspec.json.decode(job.body)
    return found


# --- orders -------------------------------------------------------------------------------------


@pytest.mark.parametrize("then", ["preview", {"pool": "preview", "then": []}, ["preview"], []])
def test_what_an_order_says_is_to_follow_becomes_part_of_the_body(then: object) -> None:
    assert ordered(LINK, then) == {**LINK, "then": then}
    assert ordered({**LINK, "then": then}) == {**LINK, "then": then}
    assert ordered({**LINK, "then": None}, then) == {**LINK, "then": then}


@pytest.mark.parametrize(
    ("then", "said"),
    [
        (5, 'then: must be the name of a pool, a step like {"pool": "preview"}'),
        ([{"pool": 5}], "then[0].pool: must be text, is a number"),
        ("gone", f"then: names gone, which is no pool here; {THERE}"),
        ("previw", "then: names previw, which is no pool here; did you mean preview?"),
        ([{"pool": "gone"}], f"then[0].pool: names gone, which is no pool here; {THERE}"),
        ("mails", "then.type: is missing; the pool mails has jobs of these types: a, b"),
        ({"pool": "mails", "type": "c"}, "then.type: is 'c', which the pool mails does not know"),
    ],
)
def test_an_order_is_refused_with_the_place_where_it_was_said(then: object, said: str) -> None:
    with pytest.raises(BadOrderError) as beside:
        ordered(LINK, then)
    with pytest.raises(BadOrderError) as inside:
        ordered({**LINK, "then": then})

    assert str(beside.value).startswith(said)
    assert str(inside.value) == f"data.{beside.value}"


def test_it_is_said_once() -> None:
    with pytest.raises(BadOrderError, match="then: is said in data too; say it once"):
        ordered({**LINK, "then": "preview"}, "preview")


# --- rows ---------------------------------------------------------------------------------------


def taken_in(then: object) -> str:
    """Return the body of the job that a row becomes, or why it is refused."""
    row = Row(b"r1", b"download", data=msgspec.json.encode({"then": then}))
    try:
        return row_order(row, Terms(called(POOLS), 1000), now=NOW).body.decode()
    except BadRowError as error:
        return str(error)


@pytest.mark.parametrize(
    ("then", "said"),
    [
        ("preview", '{"then":"preview"}'),
        ("gone", f"data.then: names gone, which is no pool here; {THERE}"),
        ({"pool": "preview", "x": 1}, "data.then.x: is no field of a step"),
    ],
)
def test_a_row_of_the_intake_is_judged_as_an_order_is(then: object, said: str) -> None:
    assert taken_in(then).startswith(said)


@pytest.mark.parametrize("levels", [200, 600])  # besides the body itself
def test_a_body_too_deep_is_refused_at_every_door_in_the_same_words(levels: int) -> None:
    deep = b"[" * levels + b"]" * levels
    row = Row(b"r1", b"download", data=b'{"a": ' + deep + b"}")
    said = "data: is nested too deeply; at most 200 lists and objects may be in each other"

    with pytest.raises(BadRowError) as refused:
        row_order(row, Terms(called(POOLS), 10_000), now=NOW)
    with pytest.raises(BadOrderError) as ordered_:
        job_of(
            Order("download", {"a": msgspec.json.decode(deep)}),
            CARD,
            Door("", 10_000, POOLS),
            now=NOW,
        )

    assert str(refused.value) == str(ordered_.value) == said


# --- the claim ----------------------------------------------------------------------------------


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async for office in an_office(tmp_path, CARD, PREVIEW, TYPED):
        yield office


async def test_a_job_that_names_no_pool_of_ours_is_condemned_before_it_runs(
    office: Office,
) -> None:
    body = b'{"then": [{"pool": "gone"}]}'

    verdict = await office.clerk.claim(FIRST, a_claim(body=body))

    assert isinstance(verdict, Condemn)
    said = f"then[0].pool: names gone, which is no pool here; {THERE}"
    assert verdict.failure.message == said
    assert verdict.failure.hint == "correct the message: field then[0].pool"
    assert (verdict.failure.code, verdict.failure.permanent) == ("bad_message", True)
    assert office.clerk.active(QUEUES.public) == 0


async def test_one_without_an_id_is_condemned_each_time_it_comes(office: Office) -> None:
    nameless = a_claim(None, body=b'{"then": "gone"}')

    first = await office.clerk.claim(FIRST, nameless)
    again = await office.clerk.claim(SECOND, msgspec.structs.replace(nameless, redelivered=True))

    assert isinstance(first, Condemn)
    assert isinstance(again, Condemn)


async def test_one_that_crashed_is_condemned_when_its_pool_is_gone_since(tmp_path: Path) -> None:
    body = b'{"then": "preview"}'
    async for office in an_office(tmp_path, CARD, PREVIEW):
        assert await office.clerk.claim(FIRST, a_claim(body=body)) == Run("j1")
        await office.clerk.blamed(FIRST[0], [(QUEUES.public, "j1")], "it died", Charge.TIMEOUT)
    async for office in an_office(tmp_path, CARD):
        later = await office.clerk.claim(FIRST, a_claim(body=body))
        seq = getattr(later, "seq", 0)
        verdict = await office.clerk.claim(SECOND, a_claim(body=body, seq=seq))

        assert isinstance(verdict, Condemn)
        assert "names preview, which is no pool here" in verdict.failure.message


@pytest.mark.parametrize("then", [b"null", b"[]", b'"preview"', b'{"pool":"mails","type":"a"}'])
async def test_one_whose_pools_are_there_runs(office: Office, then: bytes) -> None:
    body = b'{"then": %s}' % then

    assert await office.clerk.claim(FIRST, a_claim(body=body)) == Run("j1")


# --- what is typed ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ((), None),
        (("preview",), ["preview"]),
        (("cutter", "preview"), [{"pool": "cutter", "then": ["preview"]}]),
        (("a", "b", "c"), [{"pool": "a", "then": [{"pool": "b", "then": ["c"]}]}]),
        (('["a", "b"]',), ["a", "b"]),
        (("[]",), []),
        (
            ('{"pool": "a", "each": "data.x"}', '["b", "c"]'),
            [{"pool": "a", "each": "data.x", "then": ["b", "c"]}],
        ),
    ],
)
def test_pools_that_are_typed_follow_each_other(typed: tuple[str, ...], said: object) -> None:
    assert following_of(typed) == said


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (("",), "--then: then[0]: '' is no name for a pool"),
        (("5",), "--then: then[0]: '5' is no name for a pool"),
        (('{"pool": "a b"}',), "--then: then[0].pool: 'a b' is no name for a pool"),
        (('{"pool": ',), "--then: is not JSON"),
        (('{"pool": "a", "x": 1}',), "--then: then[0].x: is no field of a step"),
        (('["a"]', "b"), "--then: a list, or a step that says what follows it, is the last one"),
        (('{"pool": "a", "then": []}', "b"), "--then: a list, or a step that says what follows"),
        (("a",) * 9, "--then: then[0].then[0]"),
        (("[" * 100_000,), "--then: is not JSON"),
    ],
)
def test_what_cannot_follow_is_a_mistake_in_the_command(typed: tuple[str, ...], said: str) -> None:
    with pytest.raises(click.UsageError) as refused:
        following_of(typed)

    assert str(refused.value).startswith(said)


def test_several_steps_that_are_typed_as_one_are_told_how_they_are_typed() -> None:
    with pytest.raises(click.UsageError, match=r"; give --then once for each step$"):
        following_of(("preview,cutter",))


def test_a_pool_may_be_typed_as_json() -> None:
    assert following_of(('"preview"', "cutter")) == [{"pool": "preview", "then": ["cutter"]}]


def test_the_body_of_a_job_is_never_changed_by_reading_it() -> None:
    data = {**LINK, "then": {"pool": "preview"}}
    job = job_of(Order("download", data), CARD, Door("", 1000, POOLS), now=NOW)

    assert job.body == msgspec.json.encode(data)
    assert job.properties == Properties(
        message_id=job.id, content_type="application/json", priority=3, timestamp=NOW
    )
