"""Asking the running supervisor: its answers, or its refusals as sentences."""

from collections.abc import Iterator
from contextlib import contextmanager

from supervisor.cli.configured import SOCKET
from supervisor.cli.exits import Complaint
from supervisor.client import Client, NoSupervisorError
from supervisor.config.settings import Settings
from supervisor.ports import ControlError


@contextmanager
def supervisor_of(settings: Settings) -> Iterator[Client]:
    """Yield the client of the supervisor these settings belong to."""
    with refusals_said(), Client(settings.state / SOCKET) as client:
        yield client


@contextmanager
def refusals_said() -> Iterator[None]:
    """Turn what a supervisor refuses, or that there is none, into a complaint."""
    try:
        yield
    except (NoSupervisorError, ControlError) as error:
        raise Complaint(str(error)) from error
