"""Orders: what keywords mean, over HTTP and as an AMQP message, and which contradict each other."""

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import msgspec
import pytest

from consumers.jobs import Priority, Properties, read
from supervisor_client import AsyncClient, Client
from supervisor_client.calls import events, job, retry_failed
from supervisor_client.errors import BadOrderError, ClientError, NotOverAmqpError, UnreachableError
from supervisor_client.letters import letter
from supervisor_client.orders import Options, ScheduleOptions, Then, order, query, schedule
from supervisor_client.places import AmqpPlace, HttpPlace, place_of

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
NO_DELAYS: tuple[object, ...] = (-1, math.nan, math.inf, "5s", [])
NO_IDS: tuple[object, ...] = (7, "", "..", "a\0b", "x" * 201)


def test_a_job_as_a_message_is_read_by_workers_as_it_was_meant() -> None:
    wanted = Options(id="a", priority="high", delay=timedelta(seconds=3), name="mail")
    posted = letter(order("toys", {"from": "ana"}, wanted | Options(max_attempts=4)), now=NOW)

    envelope = read(
        posted.body,
        Properties(
            message_id=posted.message_id,
            headers=dict(posted.headers),
            type=posted.type,
            priority=posted.priority,
        ),
        limit=1000,
    )

    assert (posted.queue, envelope.job_id, envelope.sender) == ("toys", "a", "ana")
    assert (envelope.priority, envelope.delay, envelope.type) == (Priority.HIGH, 3.0, "mail")
    assert envelope.max_attempts == 4


@pytest.mark.parametrize(("word", "amqp"), [("critical", 5), ("background", 1), ("normal", None)])
def test_the_property_counts_upwards(word: str, amqp: int | None) -> None:
    assert letter(order("toys", {}, {"priority": word}), now=NOW).priority == amqp


def test_a_moment_becomes_a_delay_and_one_that_has_passed_none() -> None:
    later = letter(order("toys", {}, {"run_at": NOW + timedelta(minutes=1)}), now=NOW)
    passed = letter(order("toys", {}, {"run_at": NOW - timedelta(minutes=1)}), now=NOW)

    assert later.headers == {"x-delay": 60_000}
    assert passed.headers == {}


def test_every_job_has_an_id_of_its_own() -> None:
    assert order("toys", {}, {}).id != order("toys", {}, {}).id


def test_over_http_only_what_was_said_is_sent() -> None:
    body = msgspec.json.decode(msgspec.json.encode(order("toys", {"a": 1}, {"id": "x"})))
    keyed = order("toys", {}, {"unique": "k", "unique_for": timedelta(minutes=5), "replace": True})

    assert body == {"pool": "toys", "data": {"a": 1}, "id": "x"}
    assert msgspec.to_builtins(keyed)["deduplicate"] == {"key": "k", "ttl": 300, "mode": "replace"}


@pytest.mark.parametrize(
    ("wanted", "named"),
    [
        (Options(delay=1, run_at=NOW), "delay, run_at"),
        (Options(run_at=NOW.replace(tzinfo=None)), "time zone"),
        (Options(replace=True), "unique"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_its_field(wanted: Options, named: str) -> None:
    with pytest.raises(BadOrderError, match=named):
        order("toys", {}, wanted)


@pytest.mark.parametrize(
    ("wanted", "named"),
    [
        *(({"delay": bad}, "delay: must be") for bad in NO_DELAYS),
        *(({"id": bad}, "id: must be 1 to 200") for bad in NO_IDS),
        ({"run_at": "2026-12-24"}, "run_at: must be a datetime"),
        ({"unique": "k", "unique_for": "long"}, "unique_for: must be seconds or a timedelta"),
    ],
)
def test_what_a_worker_would_refuse_or_take_for_something_else_is_not_sent(
    wanted: Any, named: str
) -> None:
    with pytest.raises(BadOrderError, match=named):
        order("toys", {}, wanted)


def test_a_keyword_that_is_none_is_not_said() -> None:
    said = msgspec.to_builtins(order("toys", {"a": 1}, nothing_of(Options)))

    assert said.keys() == {"pool", "data", "id"}
    assert schedule("toys", {}, nothing_of(ScheduleOptions)) == {"pool": "toys", "data": {}}


def nothing_of(options: type) -> Any:
    return dict.fromkeys(options.__annotations__)


def nested_in_itself() -> dict[str, Any]:
    data: dict[str, Any] = {}
    data["data"] = data
    return data


@pytest.mark.parametrize("make", [partial(order, wanted={}), partial(schedule, wanted={})])
@pytest.mark.parametrize("data", [{"what": object()}, nested_in_itself(), [1], "x", None])
def test_data_that_is_no_object_of_json_is_refused_before_anything_is_sent(
    make: Callable[..., object], data: Any
) -> None:
    with pytest.raises(BadOrderError, match="data: "):
        make("toys", data)


@pytest.mark.parametrize("name", ["delay", "run_at"])
def test_what_no_broker_keeps_for_so_long_is_refused_before_it_is_sent(name: str) -> None:
    far = timedelta(days=50) if name == "delay" else NOW + timedelta(days=50)
    wanted: Any = {name: far}

    with pytest.raises(BadOrderError, match=f"^{name}: over AMQP a job waits for 48 days at most"):
        letter(order("toys", {}, wanted), now=NOW)


def test_a_job_shows_its_id() -> None:
    client = Client("http://127.0.0.1:1")

    assert repr(client.job("order-17")) == "<Job order-17>"
    assert repr(AsyncClient("http://127.0.0.1:1").job("order-17")) == "<Job order-17>"


def test_a_key_is_not_for_amqp() -> None:
    with pytest.raises(NotOverAmqpError, match="same id"):
        letter(order("toys", {}, {"unique": "k"}), now=NOW)


def test_a_schedule_is_written_as_the_api_reads_it() -> None:
    body = schedule("toys", {}, {"every": timedelta(hours=1), "at_most": 3, "missed": "skip"})

    assert body == {"pool": "toys", "data": {}, "every": 3600.0, "atMost": 3, "missed": "skip"}


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("http://host:8080/", HttpPlace("http://host:8080")),
        ("var/supervisor.sock", HttpPlace("http://supervisor", "var/supervisor.sock")),
        ("unix:///run/s.sock", HttpPlace("http://supervisor", "/run/s.sock")),
        ("amqp://u:secret@host/v", AmqpPlace("amqp://u:secret@host/v", "amqp://host:5672")),
    ],
)
def test_an_address_is_understood(address: str, place: HttpPlace | AmqpPlace) -> None:
    assert place_of(address) == place


@pytest.mark.parametrize("address", ["", None, "ftp://host", "http://user:secret@host", "http://"])
def test_what_is_no_address_is_refused_without_its_password(address: Any) -> None:
    with pytest.raises(ClientError, match="must be like") as refused:
        place_of(address)

    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("address", ["http://host:x", "amqp://u:secret@host:99999/"])
def test_a_port_that_is_none_is_refused_without_the_password(address: str) -> None:
    with pytest.raises(ClientError, match="port that is none") as refused:
        Client(address)

    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("token", ["secret\n", "sécret"])
def test_a_token_that_no_header_can_hold_is_refused_without_being_shown(token: str) -> None:
    with pytest.raises(ClientError, match="end of its line") as refused:
        Client("http://host", token=token)

    assert "cret" not in str(refused.value)


@pytest.mark.parametrize("name", ["", None, 7])
def test_what_has_no_name_is_not_asked_for(name: Any) -> None:
    with Client("http://127.0.0.1:1/") as client:
        for call in (client.job(name).remove, client.queue(name).drain, client.schedule(name).show):
            with pytest.raises(BadOrderError, match="must be text, and not empty"):
                call()


def test_events_are_asked_for_by_what_they_are_of() -> None:
    asked = events(["completed"], ["q"], ["j"], ["r"]).query

    assert asked == {"name": ["completed"], "queue": ["q"], "job": ["j"], "root": ["r"]}


def test_dots_for_a_name_are_no_way_to_another_address() -> None:
    assert [job("..").path, job("a/..").path] == ["/api/jobs/%2E%2E", "/api/jobs/a%2F.."]


def test_a_job_is_sent_at_least_once_or_it_is_said_also_after_a_close() -> None:
    client = Client("amqp://127.0.0.1:1/", tries=0)
    for _ in range(2):
        with pytest.raises(UnreachableError, match="cannot be reached"):
            client.publish("toys", {})
        client.close()
        client.close()


@pytest.mark.parametrize("then", ["preview", {"pool": "preview"}, [{"pool": "a", "then": []}], []])
def test_what_is_to_follow_is_part_of_the_data_whichever_way_it_goes(then: Then) -> None:
    made = order("download", {"link": "x"}, {"then": then})

    assert made.data == {"link": "x", "then": then}
    body = letter(made, now=NOW).body
    assert read(body, Properties(), limit=1000).data == made.data
    with pytest.raises(BadOrderError, match="then: is said in data too; say it once"):
        order("download", {"then": "a"}, {"then": then})


def test_what_follows_is_no_set() -> None:
    with pytest.raises(BadOrderError, match="then: must be a pool, a step, or a list of them"):
        order("download", {}, {"then": {"a"}})  # type: ignore[typeddict-item]  # that is the mistake


async def test_a_keyword_that_no_call_has_is_refused_before_anything_is_sent() -> None:
    mistaken: Any = {"dealy": 3600, "priorty": "high"}
    with (
        Client("amqp://127.0.0.1:1/") as plain,
        pytest.raises(TypeError, match=r"publish\(\) has no keyword 'dealy'; did you mean delay\?"),
    ):
        plain.publish("idle", {"n": 1}, **mistaken)
    async with AsyncClient("http://127.0.0.1:1/") as other:
        with pytest.raises(TypeError, match="'dealy'; did you mean delay"):
            await other.add_job("idle", {"n": 1}, **mistaken)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (partial(order, "idle", {}), r"publish\(\) has no keyword 'Every'; there are id, priority"),
        (partial(schedule, "idle", {}), r"set\(\) has no keyword 'Every'; did you mean every\?"),
        (query, r"jobs\(\) has no keyword 'Every'; there are pool, state"),
        (partial(retry_failed, "idle"), r"retry_failed\(\) has no keyword 'Every'; did you mean n"),
    ],
)
def test_each_call_with_keywords_knows_its_own(call: Callable[[Any], object], said: str) -> None:
    with pytest.raises(TypeError, match=said):
        call({"Every": 5})
