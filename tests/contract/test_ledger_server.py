"""A PostgreSQL server that fails its ledger: said in words, known at once, got over by itself."""

import asyncio
import contextlib
import os
import time
from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy import Connection, text

from supervisor.core.records import Incident, JobFilter
from supervisor.core.troubles import Fault
from supervisor.ledger.errors import LedgerError, UnwritableError
from supervisor.ledger.postgresql import fault_of
from supervisor.ledger.store import Ledger
from tests.support.clocks import START, WITHIN, FakeClock
from tests.support.ledgers import NODE
from tests.support.postgresql import PASSWORD, PrivatePostgres

pytestmark = pytest.mark.postgres

HUSH = "hush"
INCIDENT = Incident("d-1", "download", "crash", "why", START)
SHUT = (
    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
    "WHERE pid != pg_backend_pid() AND backend_type = 'client backend'"
)


@pytest.fixture
def database(postgres_url: str) -> str:
    return postgres_url.rpartition("/")[2]


async def test_a_server_that_is_away_is_known_and_got_over_when_it_is_back(
    server_ledger: Ledger, postgres: PrivatePostgres
) -> None:
    ledger = server_ledger
    await ledger.record(INCIDENT)
    await asyncio.to_thread(postgres.stop)

    for refused in (ledger.record(INCIDENT), ledger.incidents(), ledger.probe()):
        with pytest.raises(LedgerError, match="see whether the server runs") as error:
            await refused
        assert PASSWORD not in str(error.value)
    assert _fault(ledger) is Fault.AWAY
    await asyncio.to_thread(postgres.start)
    await ledger.probe()
    await ledger.probe()

    assert ledger.troubles.now is None
    await ledger.record(INCIDENT)
    assert await ledger.incidents() == (INCIDENT, INCIDENT)


async def test_a_connection_lost_while_nobody_asked_is_no_trouble_for_a_question(
    server_ledger: Ledger, postgres: PrivatePostgres
) -> None:
    await server_ledger.record(INCIDENT)
    await server_ledger.incidents()
    await asyncio.to_thread(postgres.run, "postgres", SHUT)

    assert await server_ledger.incidents() == (INCIDENT,)
    assert server_ledger.troubles.now is None


async def test_the_lock_of_a_node_is_taken_again_with_its_connection(
    server_ledger: Ledger, postgres: PrivatePostgres, postgres_url: str, clock: FakeClock
) -> None:
    await asyncio.to_thread(postgres.run, "postgres", SHUT)
    other = await Ledger.open(postgres_url, clock=clock, node=NODE)

    for _ in range(2):  # the lost connection is found out by the first
        with pytest.raises(LedgerError):
            await server_ledger.record(INCIDENT)
    assert "another supervisor with this node id" in _why(server_ledger)
    await other.close()
    await asyncio.wait_for(_get_over(server_ledger), WITHIN)

    assert await server_ledger.incidents() == ()


@pytest.mark.parametrize("is_committed", [True, False])
async def test_of_a_commit_that_was_not_answered_the_server_is_asked_what_became_of_it(
    server_ledger: Ledger, monkeypatch: pytest.MonkeyPatch, *, is_committed: bool
) -> None:
    dialect = server_ledger._room.writing.dialect
    with monkeypatch.context() as patch:

        def cut_off(connection: Connection) -> None:
            wire = connection.driver_connection  # type: ignore[attr-defined]  # a pool's proxy
            if is_committed:
                wire.commit()
            wire.close()
            patch.undo()
            raise psycopg.OperationalError("server closed the connection unexpectedly")

        patch.setattr(dialect, "do_commit", cut_off)
        writing = server_ledger.record(INCIDENT)
        if is_committed:
            await writing
        else:
            with pytest.raises(LedgerError, match="server closed the connection"):
                await writing

    assert len(await server_ledger.incidents()) == is_committed


async def test_two_coordinators_in_each_others_way_both_get_done(
    server_ledger: Ledger, postgres_url: str, clock: FakeClock
) -> None:
    """Each has one row and wants the other's; the one that the server breaks off tries again."""
    other = await Ledger.open(postgres_url, clock=clock, node="node-b")
    for name in ("x", "y"):
        await server_ledger.write(lambda c, n=name: _put(c, n))  # type: ignore[misc]
    begun = time.monotonic()

    def change(connection: Connection, first: str, second: str) -> None:
        _touch(connection, first)
        connection.execute(text("SELECT pg_sleep(0.3)"))
        _touch(connection, second)

    await asyncio.wait_for(
        asyncio.gather(
            server_ledger.write(lambda connection: change(connection, "x", "y")),
            other.write(lambda connection: change(connection, "y", "x")),
        ),
        WITHIN,
    )

    assert time.monotonic() - begun >= 0.6
    assert server_ledger.troubles.now is other.troubles.now is None
    found = await other.read(lambda c: c.execute(text("SELECT rate FROM queue_controls")).all())
    assert [row.rate for row in found] == [2, 2]
    await other.close()


async def test_a_statement_that_takes_too_long_is_a_busy_server(server_ledger: Ledger) -> None:
    def slow(connection: Connection) -> None:
        connection.execute(text("SET LOCAL statement_timeout = '50ms'"))
        connection.execute(text("SELECT pg_sleep(5)"))

    with pytest.raises(LedgerError, match="statement timeout; see what else uses"):
        await server_ledger.write(slow)

    assert _fault(server_ledger) is Fault.BUSY


async def test_a_server_that_may_not_be_written_to_is_known(
    server_ledger: Ledger, postgres: PrivatePostgres, database: str
) -> None:
    words = f"ALTER DATABASE {database} SET default_transaction_read_only = on"
    await asyncio.to_thread(postgres.run, "postgres", words)
    await asyncio.to_thread(postgres.run, "postgres", SHUT)

    for _ in range(2):
        with pytest.raises(LedgerError):
            await server_ledger.record(INCIDENT)

    assert _fault(server_ledger) is Fault.READ_ONLY
    again = words.replace("= on", "= off")
    await asyncio.to_thread(postgres.run, "postgres", again)
    await asyncio.to_thread(postgres.run, "postgres", SHUT)
    with pytest.raises(LedgerError):
        await server_ledger.probe()
    await server_ledger.probe()
    await server_ledger.probe()
    assert server_ledger.troubles.now is None


@pytest.fixture
def guest(postgres: PrivatePostgres) -> Iterator[str]:
    """A user who may have one connection."""
    postgres.run("postgres", f"CREATE ROLE guest LOGIN PASSWORD '{HUSH}' CONNECTION LIMIT 1")
    yield "guest"
    postgres.run("postgres", "DROP OWNED BY guest; DROP ROLE guest")


async def test_why_a_server_does_not_let_us_in_is_said_without_the_password(
    postgres: PrivatePostgres, postgres_url: str, database: str, guest: str, clock: FakeClock
) -> None:
    wrong = {
        "password authentication failed": postgres.url(database, password=f"not-{HUSH}"),
        'database "nowhere" does not exist': postgres.url("nowhere"),
        "permission denied for": postgres.url(database, user=guest, password=HUSH),
        "see whether the server runs": postgres_url.replace(f":{postgres.port}", ":1"),
    }
    for words, url in wrong.items():
        with pytest.raises(LedgerError, match=words) as refused:
            await Ledger.open(url, clock=clock, node=NODE)
        assert HUSH not in str(refused.value)
        assert refused.value.trouble is not None


async def test_too_many_connections_are_a_busy_server(
    postgres: PrivatePostgres, guest: str, clock: FakeClock
) -> None:
    url = postgres.url("postgres", user=guest, password=HUSH)
    with (
        psycopg.connect(url),
        pytest.raises(LedgerError, match="too many connections") as refused,
    ):
        await Ledger.open(url, clock=clock, node=NODE)

    assert refused.value.trouble is not None
    assert refused.value.trouble.fault is Fault.BUSY


@pytest.mark.parametrize(
    ("state", "fault"),
    [
        ("53100", Fault.FULL),
        ("53200", Fault.BUSY),
        ("57P01", Fault.AWAY),
        ("57014", Fault.BUSY),
        ("08006", Fault.AWAY),
        ("25006", Fault.READ_ONLY),
        ("XX001", Fault.DAMAGED),
        ("58030", Fault.UNUSABLE),
        ("28P01", Fault.REFUSED),
        ("23505", None),
        ("42P01", None),
    ],
)
def test_a_servers_error_is_a_fault_of_its_kind_or_a_mistake_of_ours(
    state: str, fault: Fault | None
) -> None:
    assert fault_of(psycopg.errors.lookup(state)("as it says")) is fault


# --- helpers --------------------------------------------------------------------------------


def _fault(ledger: Ledger) -> Fault | None:
    return None if ledger.troubles.now is None else ledger.troubles.now.fault


def _why(ledger: Ledger) -> str:
    return "" if ledger.troubles.now is None else ledger.troubles.now.why


async def _get_over(ledger: Ledger) -> None:
    """Probe until the trouble is over: the server takes a moment to end a connection."""
    while ledger.troubles.now is not None:
        with contextlib.suppress(LedgerError):
            await ledger.probe()
        await asyncio.sleep(0.05)


def _put(connection: Connection, name: str) -> None:
    words = "INSERT INTO queue_controls (queue, rate, changed_at) VALUES (:name, 0, 0)"
    connection.execute(text(words), {"name": name})


def _touch(connection: Connection, name: str) -> None:
    words = "UPDATE queue_controls SET rate = rate + 1 WHERE queue = :name"
    connection.execute(text(words), {"name": name})


async def test_what_a_column_of_text_cannot_hold_is_written_out(server_ledger: Ledger) -> None:
    odd = Incident("d-1", "download", "crash", "why\0 \ud800", START)

    await server_ledger.record(odd)

    (found,) = await server_ledger.incidents()
    assert found.why == r"why\0 \ud800"
    assert await server_ledger.find(JobFilter(sender="\0")) == ()


async def test_what_can_never_be_written_is_known_as_such(server_ledger: Ledger) -> None:
    def write(connection: Connection) -> None:
        connection.execute(text("SELECT CAST(:far AS integer)"), {"far": str(2**40)})

    def fill(connection: Connection) -> None:
        long = os.urandom(10_000).hex()
        connection.execute(text("INSERT INTO embedded_queues VALUES (:name)"), {"name": long})

    with pytest.raises(UnwritableError, match="out of range"):
        await server_ledger.write(write)
    with pytest.raises(UnwritableError, match="index row"):
        await server_ledger.write(fill)
    assert server_ledger.troubles.now is None
