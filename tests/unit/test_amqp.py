"""The pure parts of the RabbitMQ adapter: URLs, the broker's words, values, returned messages."""

import math
import struct
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from aiormq import spec
from hypothesis import given
from hypothesis import strategies as st

from consumers.broker.amqp_errors import Words, alarm, broker_error, words
from consumers.broker.amqp_properties import UNREADABLE, forgiving, received, writable
from consumers.broker.amqp_returns import Parcel, UnderWay
from consumers.broker.amqp_url import place
from consumers.errors import BrokerError, ForbiddenError, UnreachableError
from consumers.jobs import BROKER_HEADERS

# --- URLs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "address", "user"),
    [
        ("amqp://localhost", "amqp://localhost:5672/", "guest"),
        ("amqp://h/", "amqp://h:5672/", "guest"),
        ("amqp://h/%2F", "amqp://h:5672/", "guest"),
        ("amqps://u%40x:p%2Fw@h:7/v", "amqps://h:7/v", "u@x"),
        ("amqps://h/a%2Fb?name=x", "amqps://h:5671/a/b", "guest"),
        ("amqp://[::1]:9/v", "amqp://[::1]:9/v", "guest"),
    ],
)
def test_an_address_is_shown_without_credentials(url: str, address: str, user: str) -> None:
    assert (place(url).address, place(url).user) == (address, user)


@pytest.mark.parametrize("url", ["", "localhost", "http://u:s3cret@h/", "amqp://u:s3cret@/v"])
def test_what_is_no_broker_url_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ValueError, match="must look like amqp://") as caught:
        place(url)

    assert "s3cret" not in str(caught.value)


def test_the_url_gets_our_heartbeat_unless_it_names_one() -> None:
    assert place("amqp://h/v").url == "amqp://h/v?heartbeat=15"
    assert place("amqp://h/v?name=x").url == "amqp://h/v?name=x&heartbeat=15"
    assert place("amqp://h/v?heartbeat=3").url == "amqp://h/v?heartbeat=3"


# --- the broker's words ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("ACCESS_REFUSED - Login was refused", ForbiddenError),
        ("NOT_ALLOWED - vhost x not found", ForbiddenError),
        ("PRECONDITION_FAILED - inequivalent arg 'x-max-priority'", ForbiddenError),
        ("RESOURCE_LOCKED - cannot obtain exclusive access", ForbiddenError),
        ("PRECONDITION_FAILED - delivery acknowledgement on channel 1 timed out", BrokerError),
        ("PRECONDITION_FAILED - unknown delivery tag 7", BrokerError),
        ("NOT_FOUND - no queue 'x'", BrokerError),
        ("CONNECTION_FORCED - node is going down", UnreachableError),
        ("INTERNAL_ERROR - vhost is down", UnreachableError),
    ],
)
def test_the_text_alone_says_what_a_refusal_means(text: str, kind: type[BrokerError]) -> None:
    error = broker_error(words((text,)), doing="consume q")

    assert type(error) is kind
    assert str(error).startswith(f"consume q: {text}")


def test_a_code_is_found_beside_its_text() -> None:
    assert words((530, "NOT_ALLOWED - no")) == Words(530, "NOT_ALLOWED - no")
    assert words((None, None)) == Words()
    assert words(()) == Words()


def test_what_the_library_says_is_cut_short() -> None:
    said = words(("Server connection reset: ConnectionResetError(104, 'x')",))

    assert str(broker_error(said, doing="a")) == "a: Server connection reset"


def test_an_end_without_a_word_is_said_to_be_one() -> None:
    assert "without a word" in str(broker_error(Words(), doing="a"))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "PRECONDITION_FAILED - inequivalent arg 'x-max-priority' for queue 'q.priority' in"
            " vhost '/': received the value '5' of type 'byte' but current is none",
            "queue q.priority exists with x-max-priority = none and we need 5: delete it",
        ),
        (
            "PRECONDITION_FAILED - inequivalent arg 'x-max-priority' for queue 'q' in vhost '/':"
            " received the value '5' of type 'byte' but current is the value '9' of type 'byte'",
            "queue q exists with x-max-priority = 9 and we need 5",
        ),
        (
            "PRECONDITION_FAILED - inequivalent arg 'durable' for exchange 'x' in vhost '/':"
            " received 'true' but current is 'false'",
            "exchange x exists with durable = false and we need true",
        ),
        (
            "PRECONDITION_FAILED - delivery acknowledgement on channel 1 timed out. Timeout value"
            " used: 1800000 ms. This timeout value can be configured, see consumers doc guide",
            "consumer_timeout of 1800000 ms",
        ),
        (
            "ACCESS_REFUSED - access to queue 'q' in vhost 'v' refused for user 'guest'",
            "rabbitmqctl set_permissions -p v USER '.*' '.*' '.*'",
        ),
        ("ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN", "user name"),
        ("NOT_ALLOWED - vhost v not found", "make it: rabbitmqctl add_vhost v"),
        ("NOT_ALLOWED - access to vhost 'v' refused for user 'u'", "who may enter it"),
        ("NOT_FOUND - no queue 'q' in vhost '/'", "made anew"),
        ("CONNECTION_FORCED - moving house", "nothing: we come back"),
        ("INTERNAL_ERROR - crash", "the broker's log"),
        ("Server connection reset: ConnectionResetError(104, 'x')", "nothing: we come back"),
    ],
)
def test_the_brokers_words_say_what_to_do(text: str, told: str) -> None:
    assert told in broker_error(words((text,)), doing="x").hint


def test_an_alarm_is_said_with_the_brokers_reason() -> None:
    assert (
        "an alarm (low on disk) and takes no publish (free memory or disk"
        in alarm("low on disk").advised
    )


# --- values ---------------------------------------------------------------------------------------

PLAIN = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63) + 1, 2**63 - 1)
    | st.text()
    | st.floats(
        width=32, allow_nan=False, allow_infinity=False, max_value=2.0**100, min_value=-(2.0**100)
    )
)
NESTED = st.recursive(
    PLAIN, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8
)


@given(st.dictionaries(st.text(), NESTED))
def test_what_amqp_can_carry_is_carried_as_it_is(headers: dict[str, object]) -> None:
    kept = {name: value for name, value in headers.items() if name not in BROKER_HEADERS}

    assert writable(headers) == kept


def test_what_amqp_cannot_carry_becomes_text() -> None:
    moment = datetime(2026, 11, 22, tzinfo=UTC)
    headers = {"big": 2**70, "exact": 0.1, "nan": math.nan, "raw": b"\xff", "moment": moment}

    assert writable(headers | {"decimal": Decimal("1.5"), "pair": (1, 2)}) == {
        "big": str(2**70),
        "exact": "0.1",
        "nan": "nan",
        "raw": "\\xff",
        "moment": moment,
        "decimal": "1.5",
        "pair": [1, 2],
    }


def test_the_brokers_death_headers_are_left_out() -> None:
    assert writable(dict.fromkeys(BROKER_HEADERS, "x") | {"kept": 1}) == {"kept": 1}


@pytest.mark.parametrize(("deep", "unreadable"), [(40, None), (60, "headers"), (5000, "headers")])
def test_headers_nested_too_deeply_are_left_out_and_that_is_said(
    deep: int, unreadable: str | None
) -> None:
    table = b""
    for _ in range(deep):
        table = b"\x01aF" + struct.pack(">I", len(table)) + table
    came = spec.Basic.Properties()
    flags = came.flags["headers"] | came.flags["app_id"]

    forgiving(spec.Basic.Properties.unmarshal)(
        came, flags, struct.pack(">I", len(table)) + table + b"\x03bot"
    )

    own = received(came, came.headers)
    assert own.app_id == "bot"
    assert own.headers.get(UNREADABLE) == unreadable
    assert ("a" in writable(own.headers)) is (unreadable is None)


# --- returned messages ----------------------------------------------------------------------------

PARCEL = Parcel("", "q", "7f3", b"{}")


def test_the_publish_that_looks_like_the_returned_one_is_marked() -> None:
    under_way = UnderWay()
    others = [
        under_way.begin(Parcel(*parts))
        for parts in [
            ("x", "q", "7f3", b"{}"),
            ("", "r", "7f3", b"{}"),
            ("", "q", "", b"{}"),
            ("", "q", "7f3", b"[]"),
        ]
    ]
    meant = under_way.begin(PARCEL)

    under_way.give_back(PARCEL, "NO_ROUTE")

    assert meant.returned == "NO_ROUTE"
    assert not any(other.returned for other in others)


def test_equal_publishes_are_marked_one_by_one_the_oldest_first() -> None:
    under_way = UnderWay()
    first, second, third = (under_way.begin(PARCEL) for _ in range(3))

    under_way.give_back(PARCEL, "a")
    under_way.end(first)
    under_way.give_back(PARCEL, "b")

    assert [first.returned, second.returned, third.returned] == ["a", "b", ""]


def test_a_return_of_an_unknown_message_is_nobodys() -> None:
    under_way = UnderWay()
    publication = under_way.begin(PARCEL)
    under_way.end(publication)

    under_way.give_back(PARCEL, "NO_ROUTE")

    assert not publication.returned
