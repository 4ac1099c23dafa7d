"""A supervisor that runs elsewhere on this machine, spoken to through its control socket."""

import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

import httpx
import msgspec

from supervisor.api.wire import HELLO, Problem, error_of
from supervisor.core.records import Incident, JobFilter, JobRecord
from supervisor.ports import ControlError, Event, Order, Status

T = TypeVar("T")

_KNOCK = 5.0  # seconds for somebody to be there
_PATIENCE = 30.0  # seconds for one answer; a publish may wait for the broker


class NoSupervisorError(Exception):
    """Nobody answers on the control socket; the message says how to change that."""


class Client:
    """The control socket of a running supervisor.

    Every method raises NoSupervisorError where there is none, and the errors of the Control port
    as the coordinator raised them.
    """

    def __init__(self, path: Path, *, patience: float = _PATIENCE) -> None:
        self._path = path
        transport = httpx.HTTPTransport(uds=str(path))
        self._http = httpx.Client(
            transport=transport, base_url="http://supervisor", timeout=patience, trust_env=False
        )

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; may be called twice."""
        self._http.close()

    def submit(self, order: Order) -> JobRecord:
        """Enter and publish a job; it is stored when this returns."""
        request = self._http.build_request(
            "POST",
            "/api/jobs",
            content=msgspec.json.encode(order),
            headers={"Content-Type": "application/json"},
        )
        return self._ask(request, JobRecord)

    def job(self, job_id: str) -> JobRecord:
        """Return one job with its history."""
        # A slash in an id must not become a path; quoted whole it is one part of it.
        return self._ask(self._get(f"/api/jobs/{quote(job_id, safe='')}"), JobRecord)

    def jobs(self, wanted: JobFilter) -> tuple[JobRecord, ...]:
        """Return the newest jobs that fit."""
        query = {"limit": str(wanted.limit)}
        if wanted.pool is not None:
            query["pool"] = wanted.pool
        if wanted.state is not None:
            query["state"] = wanted.state.value
        return self._ask(self._get("/api/jobs", query), tuple[JobRecord, ...])

    def status(self) -> Status:
        """Return the state of the house."""
        return self._ask(self._get("/api/status"), Status)

    def incidents(self, worker: str | None, limit: int) -> tuple[Incident, ...]:
        """Return why workers were restarted, the newest first; of one worker if it is named."""
        query = {"limit": str(limit)} | ({} if worker is None else {"worker": worker})
        return self._ask(self._get("/api/incidents", query), tuple[Incident, ...])

    def events(self, *, connected: Callable[[], object] = lambda: None) -> Iterator[Event]:
        """Yield what happens from now on, until the supervisor stops.

        ``connected`` is called once nothing can be missed any more.
        """
        with self._answered(), self._http.stream("GET", "/api/events", timeout=60.0) as answer:
            _check(answer)
            for line in answer.iter_lines():
                if line == HELLO:
                    connected()
                elif line.startswith("data:"):
                    yield msgspec.json.decode(line.removeprefix("data:"), type=Event)

    def _get(self, path: str, query: Mapping[str, str] | None = None) -> httpx.Request:
        return self._http.build_request("GET", path, params=query)

    def _ask(self, request: httpx.Request, kind: type[T]) -> T:
        with self._answered():
            answer = self._http.send(request)
            _check(answer)
            return msgspec.json.decode(answer.content, type=kind)

    @contextmanager
    def _answered(self) -> Iterator[None]:
        _knock(self._path)
        try:
            yield
        except httpx.TimeoutException as error:
            message = f"the supervisor at {self._path} did not answer in time; look at its log"
            raise ControlError(message) from error
        except httpx.HTTPError as error:
            message = f"the supervisor at {self._path} hung up: {error}; is it stopping?"
            raise NoSupervisorError(message) from error
        except msgspec.MsgspecError as error:
            message = f"the supervisor at {self._path} speaks another version: {error}"
            raise ControlError(message) from error


def _knock(path: Path) -> None:
    """Raise what keeps us from the socket; the HTTP library would blur the reason."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
        door.settimeout(_KNOCK)
        try:
            door.connect(str(path))
        except PermissionError as error:
            message = f"the supervisor's socket {path} belongs to another user; ask as that user"
            raise NoSupervisorError(message) from error
        except OSError as error:
            message = (
                f"no supervisor is running here ({path} does not answer); "
                "start one with: python -m supervisor -c supervisor.yaml"
            )
            raise NoSupervisorError(message) from error


def _check(answer: httpx.Response) -> None:
    """Raise what the coordinator raised, if it did."""
    if answer.is_success:
        return
    try:
        problem = msgspec.json.decode(answer.read(), type=Problem)
    except msgspec.DecodeError as error:
        message = f"the supervisor answered {answer.status_code} {answer.reason_phrase}"
        raise ControlError(message) from error
    raise error_of(problem)
