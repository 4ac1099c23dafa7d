"""What a message means, and what is said about one that means nothing."""

import time

import msgspec
import pytest

from consumers import jobs
from consumers.errors import MalformedError
from consumers.jobs import Envelope, Priority, Properties, fingerprint, priority_of, read

LIMIT = 1000  # bytes
PLAIN = Properties()


def envelope(body: bytes = b"{}", **properties: object) -> Envelope:
    return read(body, Properties(**properties), limit=LIMIT)  # type: ignore[arg-type]  # by name


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "body: is empty"),
        (b"link=x", "body: is not JSON"),
        (b'{"link": "\xff"}', "body: is not JSON"),
        (b'{"link": 1e999}', "body: is not JSON"),
        (b"[]", "body: must be a JSON object, is an array"),
        (b'"x"', "body: must be a JSON object, is a string"),
        (b"7", "body: must be a JSON object, is a number"),
        (b"true", "body: must be a JSON object, is a flag"),
        (b"null", "body: must be a JSON object, is null"),
        (b'{"from": ["user123"]}', "from: must be"),
        (b'{"from": 1.5}', "from: must be"),
        (b'{"userId": {}}', "userId: must be"),
        (b'{"noreply": "yes"}', "noreply: must be"),
        (b'{"noreply": 1}', "noreply: must be"),
        (b"{}" + b" " * LIMIT, "body: is 1,002 bytes, the limit is 1,000"),
    ],
)
def test_a_body_that_is_no_job_is_refused_with_the_field_named(body: bytes, said: str) -> None:
    with pytest.raises(MalformedError) as refused:
        envelope(body)

    assert refused.value.message.startswith(said)
    assert refused.value.field == said.partition(":")[0]


def test_a_body_nested_without_end_is_refused_like_any_other() -> None:
    with pytest.raises(MalformedError, match="body: is nested too deeply; at most 200 lists and"):
        read(b"[" * 200_000, PLAIN, limit=1_000_000)


@pytest.mark.parametrize(("before", "after"), [("[", "]"), ('{"b":', "}"), ('["[{[", ', "]")])
def test_only_so_many_levels_are_passed_on(before: str, after: str) -> None:
    most = jobs.DEEPEST - 1  # besides the body itself

    def nested(levels: int) -> bytes:
        return f'{{"a": {before * levels} 1 {after * levels}}}'.encode()

    assert read(nested(most), PLAIN, limit=10_000).data["a"]
    assert jobs.decoded(nested(most)) != nested(most).decode()
    with pytest.raises(MalformedError, match="body: is nested too deeply"):
        read(nested(most + 1), PLAIN, limit=10_000)
    assert jobs.decoded(nested(most + 1)) == nested(most + 1).decode()


def test_a_body_that_is_broad_and_not_deep_is_read_in_no_time() -> None:
    broad = b'{"a": [' + b"[1]," * 250_000 + b"[]]}"
    began = time.process_time()

    assert len(read(broad, PLAIN, limit=len(broad)).data) == 1
    assert time.process_time() - began < 1.0


@pytest.mark.parametrize(
    ("header", "value"),
    [
        (jobs.DELAY, "soon"),
        (jobs.DELAY, -1),
        (jobs.DELAY, 1.5),
        (jobs.DELAY, True),
        (jobs.DELAY, "9" * 500),
        (jobs.DELAY, "8" * 5000),
        (jobs.ATTEMPTS, "many"),
        (jobs.SEQ, 2**63),
        (jobs.PRIORITY, "urgent"),
        (jobs.PRIORITY, 0),
        (jobs.PRIORITY, 6),
        (jobs.PRIORITY, True),
        (jobs.PRIORITY, ["high"]),
    ],
    ids=lambda part: f"{part!r:.20}",
)
def test_a_header_that_makes_no_sense_is_named(header: str, value: object) -> None:
    with pytest.raises(MalformedError) as refused:
        envelope(headers={header: value})

    assert refused.value.field == header


def test_the_sender_is_from_then_user_id_then_nobody() -> None:
    assert envelope(b'{"from": "ana", "userId": "bob"}').sender == "ana"
    assert envelope(b'{"from": null, "userId": 7}').sender == "7"
    assert envelope(b"{}").sender == ""


def test_a_null_noreply_is_no_noreply() -> None:
    assert not envelope(b'{"noreply": null}').noreply
    assert envelope(b'{"noreply": true}').noreply


def test_the_delay_header_counts_milliseconds_as_number_or_text() -> None:
    assert envelope(headers={jobs.DELAY: 1500}).delay == 1.5
    assert envelope(headers={jobs.DELAY: "250"}).delay == 0.25


def test_our_own_id_wins_over_the_publishers_and_an_empty_one_is_none() -> None:
    assert envelope(message_id="theirs", headers={jobs.JOB_ID: "ours"}).job_id == "ours"
    assert envelope(message_id="theirs").job_id == "theirs"
    assert envelope(message_id="theirs", headers={jobs.JOB_ID: ""}).job_id == "theirs"
    assert envelope(message_id="").job_id is None


@pytest.mark.parametrize(
    ("amqp", "meant"),
    [
        (None, Priority.NORMAL),
        (0, Priority.NORMAL),
        (1, Priority.BACKGROUND),
        (2, Priority.LOW),
        (3, Priority.NORMAL),
        (4, Priority.HIGH),
        (5, Priority.CRITICAL),
        (255, Priority.CRITICAL),
    ],
)
def test_the_amqp_priority_counts_upwards_and_0_is_normal(
    amqp: int | None, meant: Priority
) -> None:
    assert priority_of(Properties(priority=amqp)) is meant


@pytest.mark.parametrize("priority", Priority)
def test_a_priority_survives_the_way_through_amqp(priority: Priority) -> None:
    assert priority_of(Properties(priority=priority.amqp)) is priority


@pytest.mark.parametrize("named", ["high", "HIGH", 2, "2"], ids=repr)
def test_the_priority_header_wins_over_the_property(named: object) -> None:
    assert priority_of(Properties(priority=1, headers={jobs.PRIORITY: named})) is Priority.HIGH


def test_a_fingerprint_is_blind_to_what_we_added_and_to_broker_deaths() -> None:
    original = Properties(type="email", headers={"x-delay": 5})
    ours = original.with_headers(x_job_id="7", x_job_seq=2)
    died = msgspec.structs.replace(original, headers={"x-delay": 5, "x-death": [{"count": 1}]})

    assert fingerprint("q", b"{}", original) == fingerprint("q", b"{}", ours)
    assert fingerprint("q", b"{}", original) == fingerprint("q", b"{}", died)


def test_a_fingerprint_tells_queue_body_properties_and_headers_apart() -> None:
    prints = {
        fingerprint("q", b"{}", PLAIN),
        fingerprint("p", b"{}", PLAIN),
        fingerprint("q", b"{ }", PLAIN),
        fingerprint("q", b"{}", Properties(type="email")),
        fingerprint("q", b"{}", Properties(headers={"tenant": 1})),
    }

    assert len(prints) == 5


def test_added_headers_replace_our_old_ones_and_strip_broker_deaths() -> None:
    came = Properties(
        headers={"x-death": [], "x-first-death-queue": "q", "x-job-seq": 1, "tenant": 7}
    )

    assert came.with_headers(x_job_seq=2).headers == {"x-job-seq": 2, "tenant": 7}


@pytest.mark.parametrize("name", ["from", "userId", "type"])
def test_a_body_with_what_no_database_stores_is_refused_by_its_field(name: str) -> None:
    with pytest.raises(MalformedError, match=f"^{name}: must not contain the character NUL"):
        envelope(msgspec.json.encode({name: "a\0b"}))


@pytest.mark.parametrize(
    ("properties", "field"),
    [
        ({"message_id": "a\0"}, "message_id"),
        ({"type": "a\0"}, "type"),
        ({"headers": {jobs.JOB_ID: "a\0"}}, jobs.JOB_ID),
        ({"headers": {jobs.HOME: "a\0"}}, jobs.HOME),
    ],
)
def test_so_are_properties_that_become_columns(properties: dict[str, object], field: str) -> None:
    with pytest.raises(MalformedError, match=f"^{field}: must not contain the character NUL"):
        envelope(b"{}", **properties)


@pytest.mark.parametrize("header", [jobs.JOB_ID, jobs.QUEUE, jobs.HOME, jobs.LANE])
def test_a_header_that_names_more_than_any_index_holds_is_refused(header: str) -> None:
    with pytest.raises(MalformedError, match=f"^{header}: must be at most 255 bytes long"):
        envelope(b"{}", headers={header: "ä" * 128})
