"""A publish packed by hand is what the library would have written."""

import pamqp.frame
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp import body, commands, header

from consumers.broker.amqp_frames import packed
from consumers.broker.port import Message, Note
from consumers.jobs import Properties
from tests.support.clocks import START

PROPERTIES = Properties(
    message_id="f00d-1",
    correlation_id="c",
    content_type="application/json",
    type="completed",
    timestamp=START,
)

short = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=60)


def unpacked(data: bytes) -> list[object]:
    frames: list[object] = []
    while data:
        size, channel, frame = pamqp.frame.unmarshal(data)
        assert channel == 7
        frames.append(frame)
        data = data[size:]
    return frames


def pack(note: Note, frame_max: int = 4096) -> list[object]:
    return unpacked(packed(note, channel=7, frame_max=frame_max))


def test_everything_that_is_said_arrives() -> None:
    publish, head, content = pack(Note("events", "q.completed", Message(b"{}", PROPERTIES)))

    assert isinstance(publish, commands.Basic.Publish)
    assert (publish.exchange, publish.routing_key) == ("events", "q.completed")
    assert not publish.mandatory
    assert isinstance(head, header.ContentHeader)
    assert head.body_size == 2
    own = head.properties
    assert (own.message_id, own.correlation_id, own.message_type) == ("f00d-1", "c", "completed")
    assert (own.content_type, own.delivery_mode) == ("application/json", 2)
    assert own.timestamp == START
    assert isinstance(content, body.ContentBody)
    assert content.value == b"{}"


@given(st.binary(max_size=5000), short, short, st.none() | short)
def test_any_body_and_names_come_out_as_they_went_in(
    data: bytes, exchange: str, key: str, identity: str | None
) -> None:
    note = Note(exchange, key, Message(data, Properties(message_id=identity)))

    publish, head, *pieces = pack(note, frame_max=1000)

    assert isinstance(publish, commands.Basic.Publish)
    assert (publish.exchange, publish.routing_key) == (exchange, key)
    assert isinstance(head, header.ContentHeader)
    assert head.properties.message_id == identity
    assert head.body_size == len(data)
    assert b"".join(p.value for p in pieces if isinstance(p, body.ContentBody)) == data
    assert all(len(p.value) <= 992 for p in pieces if isinstance(p, body.ContentBody))


def test_a_name_that_amqp_cannot_say_is_refused() -> None:
    with pytest.raises(ValueError, match="over 255 bytes"):
        packed(Note("", "x" * 256, Message(b"", Properties())), channel=1, frame_max=4096)
