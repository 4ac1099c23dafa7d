"""A desk for pools that only remembers: for tests of the doors."""

import msgspec

from supervisor.core.on_demand import Summary, Wish
from supervisor.desks.pools import PoolView, Restarted
from supervisor.ports import (
    BadOrderError,
    BusyError,
    ConflictError,
    NoRunError,
    UnknownPoolError,
    UnknownWorkerError,
)


class FakePools:
    """Keeps what was asked of it."""

    def __init__(self) -> None:
        self.known = {
            name: PoolView(name, f"{name}_queue", f"{name}_queue_dlq", "a.b", {}, 1, 1, 1)
            for name in ("download", "cutter", "preview")
        }
        self.restarted: list[str] = []
        self.wishes: list[tuple[str, Wish]] = []
        self.is_busy = False

    def views(self) -> tuple[PoolView, ...]:
        return tuple(self.known.values())

    def view(self, pool: str) -> PoolView:
        if pool not in self.known:
            message = f"no pool {pool!r}"
            raise UnknownPoolError(message)
        return self.known[pool]

    async def scale(self, pool: str, instances: int) -> PoolView:
        if instances > 256:
            message = f"instances: must be 0 to 256, is {instances}"
            raise BadOrderError(message)
        changed = msgspec.structs.replace(self.view(pool), instances=instances)
        self.known[pool] = changed
        return changed

    async def restart(self, worker: str) -> Restarted:
        if "-" not in worker or worker.partition("-")[0] not in self.known:
            message = f"there is no worker {worker!r}"
            raise UnknownWorkerError(message)
        self.restarted.append(worker)
        return Restarted((worker,))

    async def restart_all(self, pool: str) -> Restarted:
        self.restarted.append(self.view(pool).name)
        return Restarted((f"{pool}-1",))

    async def run(self, pool: str, wish: Wish) -> Summary:
        self.begin(pool, wish)
        return msgspec.structs.replace(self.last_run(pool), running=False, ended="empty")

    def begin(self, pool: str, wish: Wish) -> Summary:
        self.view(pool)
        if self.is_busy:
            message = f"pool {pool} is being run on demand already"
            raise BusyError(message)
        self.wishes.append((pool, wish))
        return self.last_run(pool)

    def meant(self, pool: str | None) -> str:
        if pool is None:
            message = f"pool: name one of {', '.join(self.known)}"
            raise ConflictError(message)
        return pool

    def last_run(self, pool: str) -> Summary:
        if not self.wishes:
            message = f"pool {pool} has not been run"
            raise NoRunError(message)
        return Summary(pool, running=True, begun=2)
