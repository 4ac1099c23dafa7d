"""The event loop of all our processes: uvloop where there is one, asyncio's own elsewhere."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import TypeVar

try:
    import uvloop

    _new_event_loop: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
except ImportError:
    _new_event_loop = asyncio.new_event_loop

T = TypeVar("T")


def run(work: Coroutine[None, None, T]) -> T:
    """Run ``work`` to its end on a new loop."""
    with asyncio.Runner(loop_factory=_new_event_loop) as runner:
        return runner.run(work)
