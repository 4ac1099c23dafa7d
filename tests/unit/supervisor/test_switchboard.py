"""The switchboard: who hears what a worker says, and when it is answered."""

import asyncio

import pytest

from consumers.broker.operations import Answer, Delivered, Depth
from consumers.desk import Condemn, Run
from consumers.jobs import Properties
from supervisor.brake import A_SLOT, SPARE
from supervisor.core.events import (
    Beaten,
    Garbled,
    JobEnded,
    JobStarted,
    Left,
    Ready,
    RestartAsked,
)
from supervisor.core.records import JobState
from supervisor.inbox import Inbox
from supervisor.ledger.errors import UnwritableError
from supervisor.switchboard import Switchboard
from supervisor.views import Tally
from tests.support.clocks import START, WITHIN, settle
from tests.support.offices import FIRST, SECOND, Office, a_claim, a_letter, a_result, an_error
from tests.support.sessions import QUEUES
from tests.support.switchboards import Exchange, Line, exchange_of_one
from workers import messages
from workers.pipe import Complaint

__all__ = ["exchange_of_one"]

KEY = (QUEUES.public, "j1")


def claiming(call: int = 1) -> messages.Claiming:
    return messages.Claiming(call=call, claim=a_claim())


async def test_a_claim_is_answered_with_its_number(exchange: Exchange) -> None:
    assert await exchange.ask(claiming(call=9)) == messages.Judged(call=9, verdict=Run("j1"))


async def test_an_outcome_is_noted_when_it_is_on_the_disk(
    exchange: Exchange, office: Office
) -> None:
    await exchange.ask(claiming())

    assert await exchange.ask(a_result(call=2)) == messages.Noted(call=2)
    assert (await office.record()).state is JobState.COMPLETED


async def test_an_outcome_is_not_noted_while_the_ledger_refuses_it(
    exchange: Exchange, office: Office
) -> None:
    await exchange.ask(claiming())
    await office.written()
    office.ledger.refusals = 2
    exchange.board.hear(FIRST, a_result(call=2))
    await settle()
    await office.clock.move(1.0)
    assert exchange.line.said == []

    await office.clock.move(1.0)

    assert await exchange.line.next() == messages.Noted(call=2)
    assert (await office.record()).state is JobState.COMPLETED


async def test_a_worker_whose_question_is_not_answered_for_a_mistake_of_ours_is_replaced(
    exchange: Exchange,
) -> None:
    exchange.queues.mistake = LookupError("nobody thought of this")

    exchange.board.hear(FIRST, messages.QueueCall(call=4, operation=Depth("q")))

    why = "the coordinator failed it: LookupError('nobody thought of this')"
    assert await exchange.event() == RestartAsked(*FIRST, why)


async def test_nothing_is_written_for_ever_on_behalf_of_the_dead(
    exchange: Exchange, office: Office
) -> None:
    await exchange.ask(claiming())
    await office.written()
    office.ledger.refusals = 1
    exchange.board.hear(FIRST, a_result())
    exchange.board.disconnect(FIRST)

    await asyncio.wait_for(exchange.board.quiet(), WITHIN)

    assert (await office.record()).state is JobState.ACTIVE


async def test_a_claim_waits_for_a_ledger_that_refuses(exchange: Exchange, office: Office) -> None:
    await exchange.ask(claiming())
    await office.clerk.blamed(FIRST[0], [KEY], "SIGKILL")
    office.ledger.refusals = 1
    exchange.board.hear(FIRST, claiming(call=2))
    await office.clock.until_asleep()
    assert exchange.line.said == []

    await office.clock.move(1.0)

    judged = await exchange.line.next()
    assert isinstance(judged, messages.Judged)
    assert judged.call == 2


async def test_the_end_of_a_run_is_told_before_its_outcome_is_written(
    exchange: Exchange, office: Office
) -> None:
    await exchange.ask(claiming())
    office.ledger.refusals = 1
    exchange.board.hear(FIRST, an_error())

    assert await exchange.event() == JobEnded(*FIRST, *KEY)
    exchange.board.disconnect(FIRST)
    await exchange.board.quiet()


async def test_a_dead_letter_is_no_end_of_a_run(exchange: Exchange, office: Office) -> None:
    letter = an_error(letter=a_letter(), queue_name=QUEUES.dead, call=3)

    assert await exchange.ask(letter) == messages.Noted(call=3)
    exchange.board.hear(FIRST, messages.Ready(FIRST[0], START, 77, 1))

    assert await exchange.event() == Ready(*FIRST)
    assert (await office.record()).state is JobState.FAILED


async def test_the_coordinator_hears_what_a_worker_says_of_itself(exchange: Exchange) -> None:
    said: list[messages.FromWorker] = [
        messages.Started(FIRST[0], START, *KEY, attempt=2),
        messages.Heartbeat(FIRST[0], START, consuming=False, broker="away"),
        messages.JobError(FIRST[0], START, "Unable to reconnect", restart_required=True),
        messages.Stopped(FIRST[0], START, "drained"),
    ]
    for message in said:
        exchange.board.hear(FIRST, message)

    assert [await exchange.event() for _ in range(4)] == [
        JobStarted(*FIRST, *KEY, 2),
        Beaten(*FIRST, consuming=False, why="away"),
        RestartAsked(*FIRST, "Unable to reconnect"),
        Left(*FIRST),
    ]


async def test_metrics_are_kept_until_the_process_is_gone_then_counted(
    exchange: Exchange,
) -> None:
    metrics = messages.Metrics(5, 4, 1, 2.0, 1, 60.0, None)
    exchange.board.hear(FIRST, messages.MetricsReport(FIRST[0], START, metrics))
    assert exchange.board.metrics == {FIRST[0]: metrics}

    exchange.board.disconnect(FIRST)

    assert exchange.board.metrics == {}
    assert exchange.board.retired == Tally(5, 4)


async def test_the_last_words_of_a_process_are_told_with_its_death(exchange: Exchange) -> None:
    exchange.board.hear(FIRST, messages.Stopped(FIRST[0], START, "no such module"))

    assert exchange.board.disconnect(FIRST) == "no such module"
    assert exchange.board.disconnect(FIRST) == ""


async def test_operations_on_the_embedded_queues_are_done_for_one_process(
    exchange: Exchange,
) -> None:
    question = messages.QueueCall(call=4, operation=Depth("q"))

    assert await exchange.ask(question) == messages.QueueAnswer(call=4, answer=Answer(number=7))
    assert exchange.queues.asked == [("download-1#1", Depth("q"))]


async def test_embedded_deliveries_go_down_the_line_until_the_process_is_gone(
    exchange: Exchange,
) -> None:
    delivered = Delivered("1.1", "q", 7, b"{}", Properties())
    exchange.queues.clients["download-1#1"](delivered)
    exchange.board.disconnect(FIRST)
    await exchange.board.quiet()

    assert exchange.line.said == [messages.QueueDelivery(delivered=delivered)]
    assert exchange.queues.clients == {}


async def test_without_embedded_queues_their_operations_are_refused(office: Office) -> None:
    line = Line()
    board = Switchboard(Inbox(), office.clerk, None, office.clock)
    board.connect(FIRST, line, told={})

    board.hear(FIRST, messages.QueueCall(call=4, operation=Depth("q")))

    answer = Answer(error="the queues are not embedded here")
    assert await line.next() == messages.QueueAnswer(call=4, answer=answer)


async def test_what_is_said_to_a_process_that_is_gone_is_not_heard(exchange: Exchange) -> None:
    exchange.board.disconnect(FIRST)

    exchange.board.send(FIRST, messages.Drain(reason="stop"))

    assert exchange.line.said == []


@pytest.mark.invariant(9)
async def test_who_asks_faster_than_it_is_answered_is_not_heard_for_a_while(
    exchange: Exchange, office: Office
) -> None:
    office.ledger.refusals = 1_000_000
    most = SPARE + A_SLOT
    for call in range(most - 1):
        exchange.board.hear(FIRST, a_result(f"j{call}", call=call))
    assert not exchange.line.is_paused
    exchange.board.hear(FIRST, a_result("one too many", call=most))
    assert exchange.line.is_paused

    office.ledger.refusals = 0
    await settle()
    await office.clock.move(1.0)
    await exchange.board.quiet()

    assert not exchange.line.is_paused
    assert len(exchange.line.said) == most


@pytest.mark.parametrize(("count", "is_told"), [(1, True), (2, False), (10, True), (1000, True)])
async def test_unreadable_words_are_counted_and_told_now_and_then(
    count: int,
    is_told: bool,  # noqa: FBT001 - a column of the table above
    exchange: Exchange,
    capsys: pytest.CaptureFixture[str],
) -> None:
    exchange.board.garbled(FIRST, Complaint("not JSON: b'what'", count))

    assert await exchange.event() == Garbled(*FIRST, "not JSON: b'what'", is_final=False)
    said = capsys.readouterr()
    assert ("message unreadable" in said.out + said.err) == is_told


async def test_words_too_large_for_a_worker_are_refused_counted_and_told(
    exchange: Exchange, capsys: pytest.CaptureFixture[str]
) -> None:
    exchange.board.send(FIRST, messages.Drain(reason="x" * 1001))
    exchange.board.send(FIRST, messages.Drain(reason="short"))

    assert await exchange.line.next() == messages.Drain(reason="short")
    assert exchange.board.refused_frames == 1
    assert "message to a worker refused" in "".join(capsys.readouterr())


async def test_a_hold_is_told_to_every_worker_on_the_line_and_so_is_its_end(
    exchange: Exchange,
) -> None:
    exchange.board.hold(None, "memory", "too little")
    exchange.board.release(None, "memory")

    assert exchange.line.said == [
        messages.Pause(name="memory", why="too little"),
        messages.Resume(name="memory"),
    ]
    assert exchange.board.holds_on("download") == {}


async def test_a_process_that_is_ready_hears_which_holds_changed_since_it_was_ordered(
    exchange: Exchange,
) -> None:
    """What was said to it before is lost: it listens to such orders from then on."""
    line, told = Line(), {"memory": "too little", "ledger": "busy", "state disk": "full"}
    exchange.board.connect(SECOND, line, told=told)
    exchange.board.hold(None, "memory", "too little")
    exchange.board.hold(None, "ledger", "full")
    exchange.board.hold(None, "media disk", "silent")
    line.said.clear()

    exchange.board.hear(SECOND, messages.Ready(SECOND[0], START, 7, SECOND[1]))

    assert line.said == [
        messages.Resume(name="state disk"),
        messages.Pause(name="ledger", why="full"),
        messages.Pause(name="media disk", why="silent"),
    ]


async def test_a_hold_on_a_pool_is_told_to_its_workers_alone_and_to_those_to_come(
    exchange: Exchange,
) -> None:
    other = Line()
    exchange.board.connect(("cutter-1", 1), other, told={})

    exchange.board.hold("download", "operator", "slow")
    exchange.board.hold("cutter", "operator", "sharp")
    exchange.board.release("cutter", "operator")
    exchange.board.release("cutter", "operator")

    assert exchange.line.said == [messages.Pause(name="operator", why="slow")]
    assert other.said == [
        messages.Pause(name="operator", why="sharp"),
        messages.Resume(name="operator"),
    ]
    assert exchange.board.holds_on("download") == {"operator": "slow"}
    assert exchange.board.holds_on("cutter") == {}


async def test_a_hold_of_the_same_name_elsewhere_outlives_the_one_that_is_lifted(
    exchange: Exchange,
) -> None:
    exchange.board.hold("download", "operator", "this one")
    exchange.board.hold(None, "operator", "all")
    exchange.board.release(None, "operator")

    assert exchange.line.said[-1] == messages.Pause(name="operator", why="this one")


async def test_what_the_ledger_can_never_record_is_condemned_and_answered(
    exchange: Exchange, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: object, **__: object) -> None:
        raise UnwritableError("out of range")

    monkeypatch.setattr(office.ledger, "known", never)
    monkeypatch.setattr(office.ledger, "bury", never)
    judged = await exchange.ask(claiming(call=7))
    noted = await exchange.ask(an_error(call=8, letter=a_letter("j1")))

    assert isinstance(judged, messages.Judged)
    assert isinstance(judged.verdict, Condemn)
    assert "out of range" in judged.verdict.failure.message
    assert noted == messages.Noted(call=8)
