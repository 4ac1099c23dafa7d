"""Asking the running supervisor: its answers, or its refusals as sentences."""

from collections.abc import Iterator
from contextlib import contextmanager

from supervisor.cli.exits import Complaint, ExitCode
from supervisor.client import Client, NoSupervisorError
from supervisor.config.settings import Settings
from supervisor.ports import ControlError, NotNowError


@contextmanager
def supervisor_of(settings: Settings) -> Iterator[Client]:
    """Yield the client of the supervisor these settings belong to."""
    with refusals_said(), Client(settings.socket) as client:
        yield client


@contextmanager
def refusals_said() -> Iterator[None]:
    """Turn what a supervisor refuses, or that there is none, into a complaint."""
    try:
        yield
    except NotNowError as error:
        raise Complaint(str(error), ExitCode.NO_BROKER) from error
    except (NoSupervisorError, ControlError) as error:
        raise Complaint(str(error)) from error
