"""Job types: the processor that a body's type names, and what it is given."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import msgspec
import pytest

from consumers.errors import HostError, MalformedError
from consumers.jobs import Envelope, Job, Properties, read, type_of
from consumers.outcome import Completed
from tests.support.clocks import WITHIN, FakeClock
from workers.context import Surroundings
from workers.processor import CheckHost, Handle, Host, JobContext
from workers.registry import Processor
from workers.repertoire import Repertoire
from workers.runner import Runner


class Letter(msgspec.Struct):
    to: str


def told(job: Job, context: JobContext) -> dict[str, object]:
    return {"data": dict(job.data), "type": job.type, "from": job.sender}


def a_processor(name: str, check_host: CheckHost | None = None, **more: object) -> Processor:
    request = cast("type[msgspec.Struct] | None", more.get("request"))
    return Processor(name, cast("Handle", told), request, check_host)


MAIL = a_processor("mail", request=Letter)
REST = a_processor("rest")
MAILS = Repertoire({"email:send": MAIL})
BOTH = Repertoire({"email:send": MAIL}, REST)


def a_job(**data: object) -> Job:
    kind = str(data.get("type", ""))
    return Job("job-1", "jobs", data, sender="user1", type=kind)


def a_message(**data: object) -> Envelope:
    return Envelope(data=data, type=type_of(data))


def test_a_type_names_its_processor_which_is_given_the_payload() -> None:
    processor, job = BOTH.cast(a_job(type="email:send", payload={"to": "a@b"}, userId="user1"))

    assert (processor, job.data, job.type) == (MAIL, {"to": "a@b"}, "email:send")


def test_a_body_without_a_payload_is_given_as_it_is() -> None:
    assert BOTH.cast(a_job(type="email:send", to="a@b"))[1].data["to"] == "a@b"


def test_a_body_without_a_type_is_for_the_default_with_all_it_has() -> None:
    job = a_job(payload={"to": "a@b"})

    assert BOTH.cast(job) == (REST, job)


@pytest.mark.parametrize("company", [MAILS, BOTH])
def test_an_unknown_type_is_refused_with_the_known_ones_named(company: Repertoire) -> None:
    with pytest.raises(MalformedError) as refused:
        company.check(a_message(type="email:sent", payload={"to": "a@b"}))

    assert refused.value.code == "unknown_type"
    known = "it knows: email:send"
    assert refused.value.message == f"type: is 'email:sent', which this pool does not know; {known}"


@pytest.mark.parametrize(("data", "said"), [({}, "is missing"), ({"type": 3}, "must be text")])
def test_without_a_default_every_body_needs_a_type(data: Mapping[str, object], said: str) -> None:
    with pytest.raises(MalformedError, match=f"type: {said}; this pool knows: email:send"):
        MAILS.check(Envelope(data=data))


def test_the_payload_is_checked_by_the_request_of_its_type_and_the_field_is_named() -> None:
    BOTH.check(a_message(type="email:send", payload={"to": "a@b"}))

    with pytest.raises(MalformedError, match=r"payload\.to: is missing"):
        BOTH.check(a_message(type="email:send", payload={}))
    with pytest.raises(MalformedError, match=r"^to: is missing"):
        BOTH.check(a_message(type="email:send"))


def test_where_the_body_names_no_type_the_property_of_the_message_may() -> None:
    body, named = b'{"to": "a@b"}', Properties(type="email:send")

    assert read(body, named, limit=100).type == "email:send"
    assert read(b'{"type": "email:other"}', named, limit=100).type == "email:other"


def test_a_default_alone_takes_bodies_of_any_type() -> None:
    job = a_job(type="whatever", payload={})

    assert Repertoire({}, REST).cast(job) == (REST, job)


async def test_the_processor_of_a_type_runs_with_the_payload() -> None:
    around = Surroundings(Path("/media"), {}, 60.0, lambda *_: None, lambda *_: None)
    job = a_job(type="email:send", payload={"to": "a@b", "From": "x"})

    outcome = await asyncio.wait_for(Runner(BOTH, around, FakeClock()).run(job), WITHIN)

    assert isinstance(outcome, Completed)
    said = {"data": {"to": "a@b", "From": "x"}, "type": "email:send", "from": "user1"}
    assert outcome.result["data"] == said


async def test_what_one_processor_lacks_holds_the_worker() -> None:
    asked: list[str] = []

    def well(_: Host) -> None:
        asked.append("well")

    async def ill(_: Host) -> None:
        message = "no printer"
        raise HostError(message)

    company = Repertoire({"a": a_processor("a", well), "b": a_processor("b", ill)}, REST)
    check = company.check_host
    assert check is not None

    with pytest.raises(HostError, match="no printer"):
        await cast("object", check(cast("Host", None)))  # type: ignore[misc]  # it is awaitable
    assert asked == ["well"]


def test_one_check_for_all_types_is_made_once() -> None:
    def well(_: Host) -> None:
        return

    both = {"a": a_processor("a", well), "b": a_processor("b", well)}

    assert Repertoire(both).check_host is well
    assert Repertoire({"a": REST}).check_host is None
