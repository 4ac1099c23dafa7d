"""A supervisor that runs elsewhere, asked through its control socket or its HTTP address."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote, unquote

import httpx
import msgspec

from supervisor import news
from supervisor.api.wire import HELLO, MISSED, JobList, Problem, error_of
from supervisor.core.records import Family, Incident, JobFilter, JobRecord
from supervisor.desks.events import EVERYTHING, Wanted
from supervisor.lines import Line, NoSupervisorError, SocketLine
from supervisor.ports import ControlError, Event, Order, Status

__all__ = ["Client", "NoSupervisorError", "quoted"]

T = TypeVar("T")

_PATIENCE = 30.0  # seconds for one answer; a publish may wait for the broker
_NOBODY = frozenset({"", ".", ".."})
_LOST = f'data: {{"{MISSED}":'


class _Lost(msgspec.Struct, frozen=True):
    """How many events are lost; None: nobody knows."""

    missed: int | None


class TooOftenError(ControlError):
    """We asked too often: the next request is taken in ``seconds``."""

    def __init__(self, why: str, seconds: float) -> None:
        super().__init__(why)
        self.seconds = seconds


class Client:
    """A running supervisor: the file of its control socket, or the line to it.

    Every method raises NoSupervisorError where there is none, and the errors of the Control port
    as the coordinator raised them.
    """

    def __init__(self, where: Path | Line, *, patience: float = _PATIENCE) -> None:
        self._line = SocketLine(where) if isinstance(where, Path) else where
        self._http = self._line.open(patience)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def is_near(self) -> bool:
        """Answer whether it is asked on this machine, where a question costs next to nothing."""
        return isinstance(self._line, SocketLine)

    def close(self) -> None:
        """Close the connections; may be called twice."""
        self._http.close()

    def ask(
        self,
        method: str,
        path: str,
        kind: type[T],
        *,
        query: Mapping[str, object] | None = None,
        body: object = None,
    ) -> T:
        """Return the answer to one request, read as ``kind``.

        What is None in ``query`` is left out, and a list said value by value. ``body`` is sent as
        JSON. An id in ``path`` goes through ``quoted``.
        """
        given = {
            name: value if isinstance(value, list) else str(value)
            for name, value in (query or {}).items()
            if value is not None
        }
        content = None if body is None else msgspec.json.encode(body)
        headers = {} if body is None else {"Content-Type": "application/json"}
        request = self._http.build_request(
            method, _named(path), params=given, content=content, headers=headers
        )
        with self._answered():
            answer = self._http.send(request)
            self._check(answer)
            return msgspec.json.decode(answer.content or b"null", type=kind)

    def lines(self, path: str, *, query: Mapping[str, object] | None = None) -> Iterator[bytes]:
        """Yield the lines of an answer that has many, each with its end."""
        given = {name: str(value) for name, value in (query or {}).items() if value is not None}
        with (
            self._answered(),
            self._http.stream("GET", path, params=given, timeout=60.0) as answer,
        ):
            self._check(answer)
            for line in _lines(answer):
                yield f"{line}\n".encode()

    def hand_in(self, path: str, lines: bytes, kind: type[T]) -> T:
        """Return the answer to lines of JSON, read as ``kind``."""
        headers = {"Content-Type": "application/x-ndjson"}
        with self._answered():
            answer = self._http.post(path, content=lines, headers=headers)
            self._check(answer)
            return msgspec.json.decode(answer.content or b"null", type=kind)

    def submit(self, order: Order) -> JobRecord:
        """Enter and publish a job; it is stored when this returns."""
        return self.ask("POST", "/api/jobs", JobRecord, body=order)

    def job(self, job_id: str) -> JobRecord:
        """Return one job with its history."""
        return self.ask("GET", f"/api/jobs/{quoted(job_id)}", JobRecord)

    def jobs(self, wanted: JobFilter) -> tuple[JobRecord, ...]:
        """Return the first jobs that fit."""
        query = {
            "limit": wanted.limit,
            "pool": wanted.pool,
            "state": None if wanted.state is None else wanted.state.value,
            "name": wanted.name,
            "from": wanted.sender,
            "since": None if wanted.since is None else wanted.since.isoformat(),
            "until": None if wanted.until is None else wanted.until.isoformat(),
            "group": wanted.group,
            "root": None if wanted.root is None else wanted.root.id,
            "parent": None if wanted.parent is None else wanted.parent.id,
            "sort": "oldest" if wanted.oldest else None,
        }
        return self.ask("GET", "/api/jobs", JobList, query=query).jobs

    def family(self, job_id: str, *, limit: int | None = None) -> Family:
        """Return a job and what came of it, of the tree as many jobs as ``limit`` says."""
        return self.ask("GET", f"/api/jobs/{quoted(job_id)}/chain", Family, query={"limit": limit})

    def status(self) -> Status:
        """Return the state of the house."""
        return self.ask("GET", "/api/status", Status)

    def incidents(self, worker: str | None, limit: int) -> tuple[Incident, ...]:
        """Return why workers were restarted, the newest first; of one worker if it is named."""
        query = {"limit": limit, "worker": worker}
        return self.ask("GET", "/api/incidents", tuple[Incident, ...], query=query)

    def events(
        self,
        wanted: Wanted = EVERYTHING,
        *,
        connected: Callable[[], object] = lambda: None,
        missed: Callable[[int | None], object] = lambda _: None,
    ) -> Iterator[Event]:
        """Yield what happens from now on, until the supervisor stops.

        ``connected`` is called once nothing can be missed any more, ``missed`` with how many
        events were lost all the same, because they were not taken in time.
        """
        about = {"job": wanted.jobs, "root": wanted.roots}
        chosen = {"queue": wanted.queues, "name": wanted.names, **about}
        query = {name: sorted(values) for name, values in chosen.items()}
        with (
            self._answered(),
            self._http.stream("GET", "/api/events", params=query, timeout=60.0) as answer,
        ):
            self._check(answer)
            for line in _lines(answer):
                if line == HELLO:
                    connected()
                elif line.startswith(_LOST):
                    missed(msgspec.json.decode(line.removeprefix("data:"), type=_Lost).missed)
                elif line.startswith("data:"):
                    yield news.read(line.removeprefix("data:"))

    @contextmanager
    def _answered(self) -> Iterator[None]:
        self._line.knock()
        place = self._line.place
        try:
            yield
        except httpx.TimeoutException as error:
            message = f"the supervisor at {place} did not answer in time; look at its log"
            raise ControlError(message) from error
        except httpx.HTTPError as error:
            raise NoSupervisorError(self._line.unreached(error)) from error
        except msgspec.MsgspecError as error:
            message = f"the supervisor at {place} speaks another version: {error}"
            raise ControlError(message) from error

    def _check(self, answer: httpx.Response) -> None:
        """Raise what the coordinator raised, if it did."""
        if answer.is_success:
            return
        if answer.status_code == HTTPStatus.UNAUTHORIZED:
            raise ControlError(self._line.unknown())
        try:
            problem = msgspec.json.decode(answer.read(), type=Problem)
            if answer.status_code == HTTPStatus.TOO_MANY_REQUESTS:
                raise TooOftenError(problem.detail, float(answer.headers.get("Retry-After", 1)))
        except msgspec.DecodeError as error:
            said = f"{answer.status_code} {answer.reason_phrase}"
            message = f"{self._line.place} is no supervisor, it answered: {said}"
            raise ControlError(message) from error
        raise error_of(problem)


def _lines(answer: httpx.Response) -> Iterator[str]:
    """Yield the lines of a stream; the library would break them at marks inside of texts too."""
    rest = b""
    for chunk in answer.iter_bytes():
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (line.decode() for line in whole)


def quoted(name: str) -> str:
    """Return an id or a name as one part of a path; a slash or dots must not become a path."""
    return name.replace(".", "%2E") if name in _NOBODY else quote(name, safe="")


def _named(path: str) -> str:
    """Return a path all parts of which name something; others would lead elsewhere.

    Raises:
        ControlError: one of them does not.
    """
    for name in map(unquote, path.split("/")[1:]):
        if name in _NOBODY:
            message = f"nothing is called {name!r}: give an id or a name"
            raise ControlError(message)
    return path
