"""How a route reaches the coordinator: what the application keeps for all of them."""

import asyncio
from typing import Any
from urllib.parse import quote

from litestar.connection import ASGIConnection
from litestar.datastructures import State

from supervisor.api.admission import SLASH
from supervisor.core.callers import ANYBODY, Caller
from supervisor.ports import Control

CALLER = "supervisor.caller"  # where in the scope of a request its caller is


def control_of(state: State) -> Control:
    """Return the running coordinator."""
    control: Control = state.control
    return control


def closing_of(state: State) -> asyncio.Event:
    """Return the event that is set when the supervisor stops: streams end then."""
    closing: asyncio.Event = state.closing
    return closing


def caller_of(connection: ASGIConnection[Any, Any, Any, Any]) -> Caller:
    """Return who asks."""
    caller: Caller = connection.scope.get(CALLER, ANYBODY)  # type: ignore[assignment]  # put there by the gate
    return caller


def location(resource: str, name: str) -> dict[str, str]:
    """Return the header that says where something is, whatever it is called."""
    return {"Location": f"/api/{resource}/{quote(name, safe=':@')}"}


def named(part: str) -> str:
    """Return a part of a path as it was meant: an id from elsewhere may hold slashes."""
    return part.replace(SLASH, "/")
