"""What is published in a chaos run: which jobs, in which words, when. Pure, from a seed."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from tests.chaos.kinds import HANGING, KILLERS, Kind

WIDE, SINGLE, PLAIN = "wide", "single", "plain"  # pools: 15 at once, one at once, plain functions
LARGE = 1_200_000  # bytes: over the limit for bodies

# Of a hundred jobs that are neither killers nor hangers.
SHARES: Mapping[Kind, int] = {
    Kind.GOOD: 74,
    Kind.SLOW: 8,
    Kind.FLAKY: 8,
    Kind.CHILDREN: 1,
    Kind.FAILING: 2,
    Kind.REJECTING: 3,
    Kind.GARBAGE: 4,
}
ATTEMPTS = 3  # of the pools' retry policy
TWINS = 0.03  # of all jobs are published twice in the same words


class Order(msgspec.Struct, frozen=True):
    """One job to be published, ``at`` seconds after the start."""

    serial: int
    kind: Kind
    pool: str
    body: bytes
    at: float
    message_id: str | None = None
    priority: int | None = None
    headers: Mapping[str, str | int] = {}
    told: bool = True  # whether somebody wants to hear how it ends
    messages: int = 1  # how often it is published

    @property
    def queue(self) -> str:
        """The public queue of its pool."""
        return f"{self.pool}_queue"

    def jobs(self, confirmed: int) -> int:
        """Return how many jobs so many confirmed messages are: of one id all are one."""
        return min(confirmed, 1) if self.message_id else confirmed


@dataclass(frozen=True, slots=True)
class Share:
    """How much of what is wanted in a run."""

    jobs: int
    seconds: float
    killers: int = 0
    hangers: int = 0
    has_garbage: bool = True  # only a broker takes what is no job
    mix: Mapping[Kind, int] = field(default_factory=lambda: SHARES)  # of the others


def plan(seed: int, share: Share) -> tuple[Order, ...]:
    """Return the orders of a run, by time. What takes long to be convicted comes early."""
    chance = random.Random(f"load {seed}")  # noqa: S311 - reproducible on purpose
    kinds = [kind for kind in share.mix if share.has_garbage or kind is not Kind.GARBAGE]
    weights = [share.mix[kind] for kind in kinds]
    early = [KILLERS[n % len(KILLERS)] for n in range(share.killers)]
    early += [HANGING[n % len(HANGING)] for n in range(share.hangers)]
    common = chance.choices(kinds, weights, k=share.jobs - len(early))
    moments = [(chance.uniform(0, share.seconds / 3), kind) for kind in early]
    moments += [(chance.uniform(0, share.seconds), kind) for kind in common]
    moments.sort(key=lambda moment: moment[0])
    orders = [_order(serial, kind, at, chance) for serial, (at, kind) in enumerate(moments)]
    twice = random.Random(f"twins {seed}")  # noqa: S311 - reproducible on purpose
    return tuple(
        msgspec.structs.replace(order, messages=1 + (twice.random() < TWINS)) for order in orders
    )


def _order(serial: int, kind: Kind, at: float, chance: random.Random) -> Order:
    if kind is Kind.GARBAGE:
        return _garbage(serial, at, chance)
    told = chance.random() < 0.9
    data: dict[str, object] = {"serial": serial, "do": kind.value, "from": f"user-{serial}"}
    data |= {"wait": round(_wait(kind, chance), 3), **_details(kind, chance)}
    data |= {} if told else {"noreply": True}
    return Order(
        serial=serial,
        kind=kind,
        pool=chance.choice(_pools(kind)),
        body=msgspec.json.encode(data),
        at=at,
        message_id=f"job-{serial}" if chance.random() < 0.4 else None,
        priority=chance.choice((1, 2, 4, 5)) if chance.random() < 0.1 else None,
        headers={"x-delay": chance.randrange(200, 3000)} if chance.random() < 0.05 else {},
        told=told,
    )


def _pools(kind: Kind) -> Sequence[str]:
    match kind:
        case Kind.SWELL | Kind.FREEZE:
            return (WIDE, SINGLE)
        case Kind.BLOCK:
            return (PLAIN, SINGLE)
        case _:
            return (WIDE, SINGLE, PLAIN)


def _wait(kind: Kind, chance: random.Random) -> float:
    """Return the seconds before the deed."""
    match kind:
        case Kind.SLOW:
            return chance.uniform(0.5, 2.0)
        case Kind.GOOD:
            return chance.choice((0.0, 0.0, 0.02, 0.1))
        case _:
            return chance.uniform(0.0, 0.2)


def _details(kind: Kind, chance: random.Random) -> Mapping[str, object]:
    match kind:
        case Kind.FLAKY:
            return {"times": chance.randrange(1, ATTEMPTS)}
        case Kind.FAILING:
            return {"times": ATTEMPTS}
        case Kind.SWELL:
            return {"megabytes": 450}
        case _:
            return {}


def _garbage(serial: int, at: float, chance: random.Random) -> Order:
    """Return a message that is no job. It says its serial early, so that it can be known again."""
    good = msgspec.json.encode({"serial": serial, "do": "good"})
    what: tuple[bytes, Mapping[str, str | int]] = chance.choice(
        (
            (b"%d is no json {" % serial, {}),
            (b"[%d, 1]" % serial, {}),
            (b"%d" % serial, {}),
            (b"\xff\xfe %d" % serial, {}),
            (b'{"serial": %d, "from": {"a": 1}}' % serial, {}),
            (b'{"serial": %d, "noreply": "perhaps"}' % serial, {}),
            (good, {"x-job-priority": "urgentest"}),
            (good, {"x-delay": "soon"}),
            (b'{"serial": %d, "pad": "%s"}' % (serial, b"x" * LARGE), {}),
        )
    )
    body, headers = what
    pool = chance.choice((WIDE, SINGLE, PLAIN))
    return Order(serial, Kind.GARBAGE, pool, body, at, headers=headers, told=False)
