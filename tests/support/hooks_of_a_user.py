"""Hooks as a user writes them: some note what they hear, some go wrong."""

import asyncio
import os
import time
from pathlib import Path

from supervisor.ports import Event

NOTES = "HOOK_NOTES"  # names the file


def on_completed(event: Event) -> None:
    print("a hook may print")  # noqa: T201 - that must not disturb anything
    _note("on_completed", event, str(event.data["result"]))


async def on_failed(event: Event) -> None:
    await asyncio.sleep(0)
    _note("on_failed", event, str(event.data["error"]))


def on_active(event: Event) -> None:
    match event.data["data"]:
        case {"hook": "raise"}:
            raise ValueError("this hook does not like it")
        case {"hook": "hang"}:
            time.sleep(60)
        case {"hook": "exit"}:
            os._exit(3)
        case _:
            _note("on_active", event)


def on_worker_idle(event: Event) -> None:
    _note("on_worker_idle", event, event.worker)


def everything(event: Event) -> None:
    """Hear all there is, when it is named."""
    _note("everything", event)


def _note(hook: str, event: Event, what: str = "") -> None:
    with Path(os.environ[NOTES]).open("a") as notes:
        notes.write(f"{hook} {event.name} {event.id} {what}\n")
