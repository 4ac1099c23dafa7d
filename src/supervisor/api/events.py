"""Events over HTTP: what happens, as it happens, all of it or what was asked for."""

from collections.abc import AsyncIterator, Sequence
from typing import Annotated

from litestar import get
from litestar.datastructures import State
from litestar.exceptions import ValidationException
from litestar.params import HeaderParameter, QueryParameter
from litestar.response import Stream

from supervisor.api.reach import closing_of, control_of
from supervisor.api.stream import stream
from supervisor.api.wire import EVENT_STREAM, LAST_EVENT_ID
from supervisor.desks.events import Wanted
from supervisor.news import EVENTS, is_known
from supervisor.ports import Control, UnknownJobError

_MANY = 20  # values of one filter


@get("/events")
async def follow_events(  # noqa: PLR0913, PLR0917 - each is a parameter of the address
    state: State,
    queue: Annotated[list[str] | None, QueryParameter(max_items=_MANY)] = None,
    name: Annotated[list[str] | None, QueryParameter(max_items=_MANY)] = None,
    job: Annotated[list[str] | None, QueryParameter(max_items=_MANY)] = None,
    root: Annotated[list[str] | None, QueryParameter(max_items=_MANY)] = None,
    after: Annotated[str | None, HeaderParameter(name=LAST_EVENT_ID)] = None,
) -> Stream:
    """Stream what happens from now on, until the supervisor stops; each filter may be repeated.

    `root` is any job of a chain, and chooses what happens to all of that chain.

    A client that comes back with `Last-Event-ID` is first told what happened since. `event: missed`
    says how many events are lost, to it or because it reads too slowly.
    """
    control = control_of(state)
    roots, queues = await _roots(control, root or ()), _queues(control, queue or ())
    wanted = Wanted(queues, _names(name or ()), frozenset(job or ()), roots)
    listening = control.events(wanted, after)
    events: AsyncIterator[str] = stream(listening, closing_of(state), keep_alive=state.quiet)
    return Stream(events, media_type=EVENT_STREAM, headers={"Cache-Control": "no-store"})


def _names(names: Sequence[str]) -> frozenset[str]:
    for name in names:
        if not is_known(name):
            message = f"name: there is no event {name!r}; there are {', '.join(EVENTS)}, worker.*"
            raise ValidationException(message)
    return frozenset(names)


def _queues(control: Control, names: Sequence[str]) -> frozenset[str]:
    known = [pool.queue for pool in control.pools.views()]
    for name in names:
        if name not in known:
            message = f"queue: no pool has the queue {name!r}; there are {', '.join(known)}"
            raise ValidationException(message)
    return frozenset(names)


async def _roots(control: Control, jobs: Sequence[str]) -> frozenset[str]:
    """Return the first jobs of the chains that these are of; one may not be there yet."""
    found: set[str] = set()
    for job_id in jobs:
        try:
            job = await control.job(job_id)
        except UnknownJobError:
            found.add(job_id)
        else:
            found.add(job.id if job.root is None else job.root.id)
    return frozenset(found)


HANDLERS = (follow_events,)
