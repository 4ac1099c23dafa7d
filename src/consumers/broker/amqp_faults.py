"""What goes wrong in aio-pika and aiormq, in our words; and what must be put right in them."""

import asyncio
import contextlib
import logging
import ssl
import warnings
from collections.abc import AsyncIterator

import aiormq
from aiormq import spec

from consumers.broker.amqp_errors import LOST, broker_error, words
from consumers.broker.amqp_properties import forgiving
from consumers.errors import BrokerError, ForbiddenError, UnreachableError, UnroutableError

STEP = 10.0  # seconds for any one conversation with the broker
START = "start RabbitMQ: docker compose -f docker-compose.rabbitmq.yml up -d"
STARTING = "nothing if the broker is just starting; else look at it, and at what is in between"
TLS = "amqps:// needs the broker's TLS port (5671) and a certificate that we trust"
SILENT = "look at the broker and the network: something swallows what we say"

_DECODE_WHAT_CAN_BE = forgiving(spec.Basic.Properties.unmarshal)


def prepare_libraries() -> None:
    """Make the libraries quiet, and deaf to nothing that matters."""
    # Both log tracebacks for every lost connection; we say it once, in our words.
    for name in ("aiormq", "aio_pika"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    # Left behind by aio-pika when a connection was lost while it was being made.
    warnings.filterwarnings("ignore", "coroutine 'Connection.close' was never awaited")
    # One property that cannot be decoded (a moment in microseconds is enough) would end the
    # connection at each delivery of that message, and so stop the queue for ever.
    setattr(spec.Basic.Properties, "unmarshal", _DECODE_WHAT_CAN_BE)  # noqa: B010
    # Otherwise a vhost that is refused is reported as a bad frame, without the broker's words.
    if spec.Connection.Close.name not in spec.Connection.Open.valid_responses:
        spec.Connection.Open.valid_responses.append(spec.Connection.Close.name)


class Orders:
    """Whether this task was told to end since then.

    The library swallows a cancellation, or turns it into an error of its own. Who was told to
    stop would take that for success or for one more fault, and go on for ever.
    """

    def __init__(self) -> None:
        self._task = asyncio.current_task()
        self._before = self._count()

    def obey(self, error: BaseException | None = None) -> None:
        """Raise CancelledError if it was, whatever the library made of it."""
        if self._count() > self._before:
            raise asyncio.CancelledError from error

    def _count(self) -> int:
        return 0 if self._task is None else self._task.cancelling()


@contextlib.asynccontextmanager
async def speaking(doing: str, *, within: float | None = STEP) -> AsyncIterator[asyncio.Timeout]:
    """Give a conversation a deadline, and what goes wrong in it our names."""
    orders = Orders()
    try:
        async with asyncio.timeout(within) as deadline:
            yield deadline
    except asyncio.CancelledError as error:
        # The library cancels whoever waits on a connection that is lost; we were not meant.
        orders.obey(error)
        raise _lost(doing) from error
    except TimeoutError as error:
        raise _silent(doing, within or STEP) from error
    except (aiormq.AMQPError, ConnectionError, RuntimeError) as error:
        orders.obey(error)
        raise _named(doing, error) from error
    orders.obey()


def _named(doing: str, error: Exception) -> BrokerError:
    match error:
        case aiormq.DeliveryError():
            return not_stored(doing, "refused by the broker, is the queue full?")
        case aiormq.AMQPError() | ConnectionError():
            return broker_error(words(error.args), doing=doing)
        case _:  # what the library says of a channel or connection that closed
            return _lost(doing)


def refusal(address: str, error: BaseException) -> BrokerError:
    """Return why no connection came about."""
    match error.__cause__ or error:
        case TimeoutError():
            return _silent(address, STEP)
        case ssl.SSLError(reason=reason) as cause:
            return ForbiddenError(f"{address}: TLS: {reason or cause}", hint=TLS)
        case ConnectionRefusedError():
            why = "connection refused: is the broker running there?"
            return UnreachableError(f"{address}: {why}", hint=START)
        case ConnectionError() | asyncio.IncompleteReadError():
            why = "connection reset while it was made"
            return UnreachableError(f"{address}: {why}", hint=STARTING)
        case _:
            return _said(address, error)


def _said(address: str, error: BaseException) -> BrokerError:
    if isinstance(error, aiormq.AuthenticationError):
        return ForbiddenError(f"{address}: the broker offers no way to log in that we know")
    return broker_error(words(error.args), doing=address)


def not_stored(queue: str, why: str) -> UnroutableError:
    """Return that a message is stored nowhere."""
    return UnroutableError(f"{queue}: {why}")


def _lost(doing: str) -> UnreachableError:
    return UnreachableError(f"{doing}: the connection is lost", hint=LOST)


def _silent(doing: str, within: float) -> UnreachableError:
    return UnreachableError(f"{doing}: no answer within {within:g} s", hint=SILENT)


def is_not_found(error: BrokerError) -> bool:
    """Answer whether the broker said that a queue or exchange does not exist."""
    return isinstance(error.__cause__, aiormq.ChannelNotFoundEntity)
