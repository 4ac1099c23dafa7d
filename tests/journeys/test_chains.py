"""Chains from outside: what follows what, told once, steered as one, whatever is killed."""

import contextlib
import json
import random
import secrets
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from supervisor.client import Client, NoSupervisorError
from supervisor.ports import ControlError, Order
from supervisor_client import AsyncClient, ChainFailedError
from supervisor_client import Client as Shop
from tests.journeys.conftest import Configured
from tests.support import processors, publisher
from tests.support.filmworks import GLUE
from tests.support.program import Pools, Program, document
from tests.support.receiver import Receiver

pytestmark = [pytest.mark.journey, pytest.mark.timeout(90)]

AT_ONCE = 4  # jobs of a pool
POOLS: Pools = {
    "download": {"processor": "tests.support.filmworks:fetch", "then": "cutter"},
    "cutter": {"processor": "tests.support.filmworks:cut", "then": "preview"},
    "preview": {"processor": "tests.support.filmworks:picture", "concurrency": AT_ONCE},
}
USER = "user123"
STUCK = {"pool": "preview", "data": {"do": "wait", "gate": "never"}}

STATES = "SELECT state FROM jobs WHERE root_id = ?"

KILLS = 5
SOON = 0.02, 0.8  # seconds; what was handed in keeps it busy for about as long
CHAINS = 30
FAMILY = {"download": 1, "cutter": 3, "preview": 3}  # of each chain: three films, three pictures
SIZE = sum(FAMILY.values())
EACH = [{"pool": "cutter", "data": {"pieces": 1}, "then": "preview"}]


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    """Listen for notices; each test takes what is for it."""
    with Receiver() as listening:
        yield listening


@pytest.fixture
def own_receiver() -> Iterator[Receiver]:
    with Receiver() as listening:
        yield listening


@pytest.fixture(
    scope="module", params=["embedded", pytest.param("rabbit", marks=pytest.mark.rabbitmq)]
)
def program(
    request: pytest.FixtureRequest, receiver: Receiver, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Program]:
    """Run three pools that follow each other, once for several tests: on each driver."""
    folder, broker = tmp_path_factory.mktemp("chains"), str(request.param)
    if broker == "rabbit":
        broker = request.getfixturevalue("rabbit").fresh_vhost()
    settings = document(
        folder, broker=broker, pools=POOLS, webhook=receiver.url, cancel_grace="300ms"
    )
    program = Program(folder, settings)
    try:
        yield program.start()
        assert program.stop() == 0, program.log[-3000:]
        assert "Traceback" not in program.log
    finally:
        program.end()


@pytest.fixture
def shop(program: Program) -> Iterator[Shop]:
    with Shop(program.socket) as client:
        yield client


async def test_a_film_is_cut_and_each_piece_gets_its_picture_and_the_user_is_told_once(
    program: Program, shop: Shop, receiver: Receiver
) -> None:
    many = [{"pool": "cutter", "data": {"pieces": 20}}]
    film = shop.publish("download", {"name": "film", "from": USER}, priority="high")
    wide = shop.publish("download", {"name": "wide", "from": USER}, then=many)

    assert film.wait(chain=True).chain is not None
    async with AsyncClient(program.socket) as client:
        await client.job(wide.id).wait(chain=True)
        (wide_cut,) = [each async for each in client.job(wide.id).children()]
    notices = {each["job"]["id"]: each for each in (told(receiver), told(receiver))}

    (cut,) = film.children()
    pictures = list(shop.job(cut.id).children())
    assert [each.data["filePath"][-10:] for each in pictures] == [
        f"film-{number}.mp4" for number in range(3)
    ]
    assert {each.priority for each in (cut, *pictures)} == {2}
    assert {(each.sender, each.origin) for each in (cut, *pictures)} == {(USER, "chain")}
    assert len(list(shop.jobs(root=cut.id, state="completed"))) == 5
    assert len(list(shop.jobs(parent=wide_cut.id, limit=7))) == 20
    assert notices[film.id]["event"] == notices[wide.id]["event"] == "job.completed"
    assert len(notices[film.id]["results"]) == 1 + 3 + 3
    assert notices[wide.id]["chain"]["completed"] == 22
    assert receiver.received() == []
    shown = program.cli("show", film.id).stdout
    assert "5 of 5 completed" in shown
    tree = [line for line in shown.splitlines() if line.startswith("  ")]
    assert [line.split()[0] for line in tree] == ["cutter", *["preview"] * 3]
    assert json.loads(program.cli("show", cut.id, "--json").stdout)["parent"]["id"] == film.id


def test_what_failed_is_told_once_with_the_rest_and_may_be_mended(
    program: Program, shop: Shop, receiver: Receiver
) -> None:
    pictures = {"pool": "preview", "data": {"spoiled": "film-1"}}
    film = shop.publish(
        "download", {"name": "film", "from": USER}, then={"pool": "cutter", "then": pictures}
    )
    with pytest.raises(
        ChainFailedError, match=r"\(5 jobs\) 1 failed; .*film-1 is spoiled"
    ) as ended:
        film.wait(chain=True)
    first = told(receiver)
    (bad,) = ended.value.family.failed
    same = json.dumps({"pool": "cutter", "then": pictures})
    waited = program.cli(
        "publish", "download", "--data", '{"name": "film"}', "--then", same, "--wait"
    )

    processors.open_gate(program.media, GLUE)
    assert program.cli("retry", bad.id).returncode == 0
    film.wait(chain=True)
    second = told(receiver)

    assert waited.returncode == 1, waited.stderr
    assert "4 of 5 completed, 1 failed" in waited.stdout
    assert (first["event"], second["event"]) == ("job.failed", "job.completed")
    assert [each["id"] for each in first["chain"]["failures"]] == [bad.id]
    assert first["error"]["code"] == "spoiled"
    assert (first["chain"]["completed"], second["chain"]["completed"]) == (4, 5)
    assert receiver.received() == []


@pytest.mark.invariant(15)
def test_a_chain_is_cancelled_or_removed_as_one(
    program: Program, shop: Shop, receiver: Receiver
) -> None:
    stuck = {"pool": "cutter", "data": {"pieces": AT_ONCE + 2}, "then": STUCK}
    size = 2 + AT_ONCE + 2
    for verb, end in (("cancel", "cancelled"), ("remove", "removed")):
        film = shop.publish("download", {"name": verb, "from": USER}, then=stuck)
        program.wait_for_count("active", AT_ONCE)

        done = program.cli(verb, film.id, *["--yes"] * (verb == "remove"))

        assert done.returncode == 0, done.stderr
        many = f"with the {size - 1} jobs" if verb == "remove" else f"; {size - 2} jobs"
        assert f"{many} that came of it" in done.stdout
        ends = Counter(state for (state,) in program.ledger(STATES, film.id))
        # Of what is removed, those that were over are forgotten.
        assert set(ends) <= {end} if verb == "remove" else ends == {"completed": 2, end: size - 2}
    told_of = told(receiver)
    last = shop.publish("preview", {"filePath": "last.mp4", "from": USER})
    assert last.wait().state == "completed"

    assert told_of["chain"]["cancelled"] == size - 2
    assert told(receiver)["job"]["id"] == last.id  # of the removed one nobody is told
    assert receiver.received() == []


@pytest.mark.rabbitmq
def test_any_program_may_say_what_follows_how_urgent_it_is_and_that_it_wants_no_word(
    vhost4_url: str, configured: Configured, own_receiver: Receiver
) -> None:
    program = configured(POOLS, vhost4_url, webhook=own_receiver.url).start()
    quiet = {"name": "quiet", "from": 4711, "noreply": True, "then": ["preview", "cutter"]}
    none = {"name": "alone", "from": USER, "then": []}

    publisher.publish(vhost4_url, "download_queue", quiet, message_id="quiet", priority=5)
    publisher.publish(vhost4_url, "download_queue", none, {**none, "then": "nowhere"})
    notices = [told(own_receiver), told(own_receiver)]
    with Shop(program.socket) as shop:
        shop.job("quiet").wait(chain=True)
        family = list(shop.jobs(root="quiet"))

    assert Counter(each.pool for each in family) == {"download": 1, "preview": 4, "cutter": 1}
    assert {each.priority for each in family} == {1}
    assert {(each.sender, each.noreply) for each in family} == {("4711", True)}
    by_event = {each["event"]: each for each in notices}
    assert by_event["job.completed"]["results"] == [str(program.media / "alone.mp4")]
    assert "then: names nowhere" in by_event["job.failed"]["error"]["message"]
    assert own_receiver.received() == []


@pytest.mark.invariant(1)
@pytest.mark.timeout(150)
def test_kills_lose_and_double_nothing_of_a_chain(
    driver: str, configured: Configured, own_receiver: Receiver
) -> None:
    seed = secrets.randbelow(10**6)
    dice = random.Random(seed)  # noqa: S311 - any instants will do
    pools = {name: {**pool, "concurrency": AT_ONCE} for name, pool in POOLS.items()}
    program = configured(pools, driver, webhook=own_receiver.url)
    names = [f"film{number}" for number in range(CHAINS)]
    for life in range(KILLS):
        program.start()
        with program.crashing(after=dice.uniform(*SOON)):
            hand_in(program, names[: CHAINS * (life + 1) // KILLS])
    program.start()
    hand_in(program, names)
    program.wait_until(lambda: is_over(program), "every chain to be over, and told of", 60.0)
    notices = {each.headers["webhook-id"]: each for each in own_receiver.received()}
    assert program.stop() == 0

    shown = f"seed {seed}"
    begun = Counter(run.name for run in processors.runs(program.media))
    assert made(program) == dict.fromkeys(names, FAMILY), shown
    users = [json.loads(each.body)["job"]["id"] for each in notices.values()]
    assert sorted(users) == sorted(names), shown
    assert sum(begun.values()) - CHAINS * SIZE <= KILLS * len(POOLS) * AT_ONCE, shown


def told(receiver: Receiver) -> dict[str, Any]:
    """Return the next notice."""
    found: dict[str, Any] = json.loads(receiver.requests.get(timeout=20).body)
    return found


def hand_in(program: Program, names: Iterable[str]) -> None:
    """Begin chains, until they all have begun or nobody answers; a second time changes nothing."""
    with Client(program.socket) as client, contextlib.suppress(NoSupervisorError, ControlError):
        for name in names:
            data = {"name": name, "films": 3, "from": USER, "then": EACH}
            client.submit(Order(pool="download", data=data, id=name))


def is_over(program: Program) -> bool:
    """Answer whether every chain is over, and every user was told."""
    left = program.ledger(
        "SELECT (SELECT count(*) FROM jobs WHERE chain_open OR state != 'completed'),"
        " (SELECT count(*) FROM chain_checks),"
        " (SELECT count(*) FROM notices WHERE due_at IS NOT NULL)"
    )
    return left == [(0, 0, 0)]


def made(program: Program) -> dict[str, dict[str, int]]:
    """Return how many jobs of which pool each chain has, by the name of its first."""
    found: dict[str, dict[str, int]] = defaultdict(dict)
    query = "SELECT root_id, pool, count(*) FROM jobs GROUP BY root_id, pool"
    for root, pool, count in program.ledger(query):
        found[root][pool] = count
    return found
