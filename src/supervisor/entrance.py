"""The entrance of the house: the API's doors, and the tokens that open the one to the street."""

from consumers.clock import Clock
from supervisor.api.gate import LookUp, Rules
from supervisor.api.patience import Patience
from supervisor.api.server import Address, ApiServer
from supervisor.config.settings import Http, Listen, Settings
from supervisor.core.rates import pace
from supervisor.keyring import Keyring
from supervisor.ports import Control

STALL = 30.0  # seconds that a reader may take nothing


class Entrance:
    """Opens and closes the API of one coordinator; without ``http.listen`` only its socket."""

    def __init__(self, settings: Settings, control: Control) -> None:
        http = settings.http
        has_keys = http.listen is not None and http.tokens is not None
        self._keys = Keyring(http.tokens, http.worker_secret) if has_keys and http.tokens else None
        look_up = None if self._keys is None else self._keys.look_up
        address = None if http.listen is None else _address(http, http.listen, look_up)
        self._server = ApiServer(control, settings.socket, address)

    async def start(self) -> None:
        """Open the doors; returns when requests are answered.

        Raises:
            SocketError: one of them cannot be opened.
            ConfigError: the tokens cannot be read.
        """
        if self._keys is not None:
            self._keys.open()
        await self._server.start()

    async def stop(self) -> None:
        """Close the doors; may be called twice."""
        await self._server.stop()

    async def watch(self, clock: Clock) -> None:
        """Follow the file of tokens, until cancelled; where there is none, do nothing."""
        if self._keys is not None:
            await self._keys.watch(clock)

    async def reload(self) -> None:
        """Read the tokens again."""
        if self._keys is not None:
            await self._keys.reload()


def _address(http: Http, listen: Listen, look_up: LookUp | None) -> Address:
    rate = http.rate_limit
    # Whoever rested for two seconds may catch up on them at once.
    burst = 1 if rate is None else max(1, round(2 * rate.jobs / rate.seconds))
    rules = Rules(
        look_up=look_up,
        is_private=False,
        body_limit=http.body_limit,
        request_timeout=http.request_timeout,
        pace=None if rate is None else pace(rate, burst),
        max_streams=http.max_streams,
    )
    patience = Patience(http.request_timeout, STALL, http.max_connections)
    return Address(listen.host, listen.port, rules, patience, http.keep_alive)
