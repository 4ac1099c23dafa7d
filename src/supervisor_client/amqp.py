"""aio-pika in our words: a job put into a queue, confirmed by the broker."""

import asyncio
import contextlib
import threading
from collections.abc import Coroutine, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from supervisor_client.errors import (
    BadOrderError,
    ClientError,
    NotAllowedError,
    TryLaterError,
    UnknownError,
    UnreachableError,
)
from supervisor_client.letters import Letter
from supervisor_client.patience import FIRST
from supervisor_client.places import AmqpPlace

if TYPE_CHECKING:  # it takes a while to load: only when something is published
    from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractMessage

_FAREWELL = 3.0  # seconds to say goodbye


class AsyncPostbox:
    """A connection to a broker, made when the first letter comes, and again when it was lost."""

    def __init__(self, place: AmqpPlace, *, timeout: float, tries: int) -> None:
        self._place = place
        self._timeout = timeout
        self._tries = tries
        self._connection: AbstractConnection | None = None
        self._channel: AbstractChannel | None = None
        self._opening = asyncio.Lock()

    async def post(self, letter: Letter) -> None:
        """Return when the broker has stored the letter; its id makes a second one harmless."""
        for left in reversed(range(max(1, self._tries))):
            try:
                await self._post(letter)
            except UnreachableError:
                if not left:
                    raise
                await asyncio.sleep(FIRST)
            else:
                return

    async def close(self) -> None:
        """Close the connection, in vain if need be; may be called twice."""
        connection, self._connection, self._channel = self._connection, None, None
        if connection is not None:
            with contextlib.suppress(Exception):  # the library has many ways to say "it is gone"
                await asyncio.wait_for(connection.close(), _FAREWELL)

    async def _post(self, letter: Letter) -> None:
        channel = None
        try:
            with self._told(letter.queue):
                async with asyncio.timeout(self._timeout):
                    channel = await self._ready()
                    exchange = channel.default_exchange
                    await exchange.publish(_message(letter), letter.queue, mandatory=True)
        except UnreachableError:
            if self._channel is channel:  # another letter may have opened a new one meanwhile
                self._channel = None
            raise

    async def _ready(self) -> "AbstractChannel":
        async with self._opening:
            if self._channel is None or self._channel.is_closed:
                await self.close()
                self._channel = await self._open()
            return self._channel

    async def _open(self) -> "AbstractChannel":
        import aio_pika

        self._connection = await aio_pika.connect(self._place.url)
        return await self._connection.channel(on_return_raises=True)

    @contextlib.contextmanager
    def _told(self, queue: str) -> Iterator[None]:
        """Give what the library says our names."""
        from aiormq import exceptions as said

        try:
            yield
        except said.PublishError as error:
            raise self._no_queue(queue) from error
        except said.DeliveryError as error:
            message = f"{queue}: the broker refused the job; is the queue full?"
            raise TryLaterError(message, status=0, after=None) from error
        except asyncio.CancelledError as error:
            # The library cancels whoever waits on a connection that is lost; we were not meant.
            if (task := asyncio.current_task()) is None or task.cancelling():
                raise
            raise self._lost("the connection was lost") from error
        except (TypeError, ValueError) as error:  # a name or number that no frame has room for
            message = f"{queue:.80}: the job cannot be put into a message: {error}"
            raise BadOrderError(message) from error
        except (said.AMQPError, OSError, RuntimeError) as error:  # TimeoutError is an OSError
            raise self._refused(error) from error

    def _refused(self, error: Exception) -> ClientError:
        words = str(error)
        if "ACCESS_REFUSED" in words or "NOT_ALLOWED" in words:
            return NotAllowedError(f"the broker at {self._place.shown} does not let us in: {words}")
        if "Connection.Close" in words:  # the library has thrown the broker's own words away
            message = (
                f"the broker at {self._place.shown} does not let us in: is there such a vhost?"
            )
            return NotAllowedError(message)
        return self._lost(words or "no answer in time")

    def _no_queue(self, queue: str) -> UnknownError:
        return UnknownError(
            f"{queue}: the broker at {self._place.shown} has no such queue; over AMQP a job is "
            "published to a queue's name (download_queue), not to a pool's (download)"
        )

    def _lost(self, why: str) -> ClientError:
        message = f"the broker at {self._place.shown} cannot be reached: {why}"
        return UnreachableError(message, was_sent=True)


class Postbox:
    """The same for programs without a loop: it has one of its own, in a thread, while it is open.

    It opens with the first letter, and again with one after it was closed.
    """

    def __init__(self, place: AmqpPlace, *, timeout: float, tries: int) -> None:
        self._box = partial(AsyncPostbox, place, timeout=timeout, tries=tries)
        self._opened: _Opened | None = None
        self._opening = threading.Lock()

    def post(self, letter: Letter) -> None:
        """Return when the broker has stored the letter."""
        with self._opening:
            if self._opened is None:
                self._opened = _Opened(self._box())
            opened = self._opened
        opened.run(opened.box.post(letter))

    def close(self) -> None:
        """Close the connection and end the thread; may be called twice."""
        with self._opening:
            opened, self._opened = self._opened, None
        if opened is not None:
            opened.close()


class _Opened:
    """A box with the loop and the thread that it lives on."""

    def __init__(self, box: AsyncPostbox) -> None:
        self.box = box
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, doing: Coroutine[Any, Any, None]) -> None:
        """Return when it is done."""
        asyncio.run_coroutine_threadsafe(doing, self._loop).result()

    def close(self) -> None:
        """Close the connection and end the thread."""
        self.run(self.box.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_FAREWELL)
        self._loop.close()


def _message(letter: Letter) -> "AbstractMessage":
    import aio_pika

    return aio_pika.Message(
        letter.body,
        headers=dict(letter.headers),
        content_type="application/json",
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        message_id=letter.message_id,
        type=letter.type,
        priority=letter.priority,
    )
