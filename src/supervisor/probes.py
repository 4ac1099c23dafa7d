"""Probes: does the broker know a worker's session still? What it brought is no redelivery then.

A message is not delivered again while the session that has it lives. So if the broker answers by
that session, asked after an equal message came, they are two.
"""

import asyncio
import itertools
from collections.abc import Callable

from supervisor.book import Holder
from workers import messages


def _nobody_hears(_holder: Holder, _probe: messages.Probe) -> None:
    """Send nothing."""


class Probes:
    """Asks workers, and hears their answers."""

    def __init__(self) -> None:
        self.send: Callable[[Holder, messages.Probe], None] = _nobody_hears
        self._calls = itertools.count(1)
        self._asked: dict[Holder, dict[int, asyncio.Future[bool]]] = {}

    async def is_alive(self, holder: Holder) -> bool:
        """Ask for the session that a worker has now; False when there is none, or no worker."""
        call = next(self._calls)
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._asked.setdefault(holder, {})[call] = answer
        self.send(holder, messages.Probe(call))
        try:
            return await answer
        finally:
            self._asked.get(holder, {}).pop(call, None)

    def answered(self, holder: Holder, message: messages.Probed) -> None:
        """Take a worker's answer."""
        answer = self._asked.get(holder, {}).pop(message.call, None)
        if answer is not None and not answer.done():
            answer.set_result(message.is_alive)

    def gone(self, holder: Holder) -> None:
        """Note that a worker answers no more."""
        for answer in self._asked.pop(holder, {}).values():
            if not answer.done():
                answer.set_result(False)
