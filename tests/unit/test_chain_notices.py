"""What a user is told about a chain: once for all of it, however large it is."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from consumers.outcome import Failure
from supervisor.core.chain_notices import (
    LARGEST,
    MOST_FAILURES,
    MOST_RESULTS,
    Whole,
    write_chain,
)
from supervisor.core.records import Chain, JobRecord, JobState, Notice
from supervisor.notify import english, portuguese
from supervisor.notify.templates import load_texts
from tests.support.notices import a_job

TEXTS = english.TEXTS
AT = datetime(2026, 11, 22, 5, 0, tzinfo=UTC)
DAMAGED = Failure("moov atom not found", code="damaged", hint="upload it again")
ROOT = a_job(result={"files": [{"path": "clip.mp4"}]}, finished_at=AT - timedelta(minutes=9))


def a_piece(number: int, **changes: object) -> JobRecord:
    """One of the jobs that followed."""
    piece = {
        "id": f"p{number}",
        "pool": "cutter",
        "queue": "cutter_queue",
        "result": {"files": [{"path": f"piece{number}.mp4"}]},
        "finished_at": AT - timedelta(minutes=5 - number / 100),
    }
    return a_job(**(piece | changes))


def a_failed(number: int, failure: Failure | None = DAMAGED, **changes: object) -> JobRecord:
    return a_piece(number, state=JobState.FAILED, result=None, error=failure, **changes)


def a_whole(*members: JobRecord, root: JobRecord = ROOT, unlisted: int = 0) -> Whole:
    states = Counter(job.state for job in (root, *members))
    states[JobState.COMPLETED] += unlisted
    return Whole(root, Chain(dict(states), is_open=False), members, AT)


def told(whole: Whole) -> Notice:
    (notice,) = write_chain(whole, sinks=["log"], texts=TEXTS)
    return notice


def test_the_user_of_the_first_job_hears_of_all_of_them_in_one_body() -> None:
    whole = a_whole(a_piece(1), a_piece(2))

    notice = told(whole)

    body = json.loads(notice.body)
    assert (notice.event, notice.sender, notice.job_id) == ("job.completed", "user123", "7f3")
    assert body["job"]["id"] == "7f3"
    assert body["results"] == ["clip.mp4", "piece1.mp4", "piece2.mp4"]
    assert body["chain"] == {
        "total": 3,
        "completed": 3,
        "failed": 0,
        "cancelled": 0,
        "removed": 0,
        "failures": [],
        "finishedAt": "2026-11-22T04:55:01.200000Z",
    }
    assert "error" not in body


def test_every_sink_gets_it_under_the_key_of_this_end() -> None:
    whole = a_whole(a_piece(1))
    later = Whole(ROOT, whole.chain, whole.members, AT + timedelta(microseconds=1))

    notices = write_chain(whole, sinks=["log", "webhook:example.org"], texts=TEXTS)

    assert [notice.sink for notice in notices] == ["log", "webhook:example.org"]
    assert {notice.key for notice in notices} == {"download_queue:7f3:chain:1795323600000000"}
    assert told(later).key != notices[0].key


@pytest.mark.invariant(13)
@pytest.mark.parametrize("changes", [{"noreply": True}, {"sender": ""}], ids=["noreply", "nobody"])
def test_nobody_is_told_if_the_first_job_asked_for_silence_or_names_nobody(
    changes: dict[str, object],
) -> None:
    root = a_job(**changes)

    assert write_chain(a_whole(a_failed(1), root=root), sinks=["log"], texts=TEXTS) == ()


def test_failures_at_every_depth_are_named_each_with_its_reason() -> None:
    deep = a_failed(2, Failure("no such codec", code="unsupported"), pool="preview")

    notice = told(a_whole(a_failed(1), deep, a_piece(3)))

    body = json.loads(notice.body)
    assert notice.event == body["event"] == "job.failed"
    assert body["error"]["code"] == "damaged"
    assert body["chain"]["failed"] == 2
    assert body["chain"]["failures"] == [
        {
            "id": "p1",
            "pool": "cutter",
            "code": "damaged",
            "message": "moov atom not found",
            "hint": "upload it again",
        },
        {
            "id": "p2",
            "pool": "preview",
            "code": "unsupported",
            "message": "no such codec",
            "hint": "",
        },
    ]
    assert body["results"] == ["clip.mp4", "piece3.mp4"]


@pytest.mark.parametrize(
    ("whole", "text"),
    [
        (
            a_whole(a_piece(1)),
            "https://example.org/clip is done, with all that was made of it: clip.mp4, piece1.mp4",
        ),
        (
            a_whole(a_failed(1), a_piece(2), a_piece(3, state=JobState.CANCELLED)),
            "https://example.org/clip: 1 of 4 jobs did not succeed. "
            "The first, of cutter: the file is damaged.",
        ),
        (
            a_whole(a_failed(1, None)),
            "https://example.org/clip: 1 of 2 jobs did not succeed. "
            "The first, of cutter: something went wrong on our side.",
        ),
        (
            a_whole(a_piece(1, state=JobState.CANCELLED), a_piece(2, state=JobState.REMOVED)),
            "https://example.org/clip: cancelled or removed: 2 of 3 jobs; the rest is done.",
        ),
        (
            a_whole(root=a_job(result={"data": {"answer": 42}})),
            "https://example.org/clip is done, with all that followed it; jobs: 1.",
        ),
        (
            a_whole(a_piece(1), unlisted=300),
            "https://example.org/clip is done, with all that followed it; jobs: 302.",
        ),
    ],
    ids=["completed", "failed", "for no reason", "cancelled", "no files", "not all listed"],
)
def test_the_sentence_says_how_it_ended(whole: Whole, text: str) -> None:

    assert told(whole).text == text


def test_every_language_has_the_sentences() -> None:
    (notice,) = write_chain(a_whole(a_failed(1)), sinks=["log"], texts=portuguese.TEXTS)

    assert notice.text == (
        "https://example.org/clip: não concluídas: 1 de 2 tarefas. "
        "A primeira, de cutter: o arquivo está danificado."
    )


def test_a_sentence_of_ones_own_may_say_all_there_is(tmp_path: Path) -> None:
    own = tmp_path / "texts.yaml"
    own.write_text("chain.failed: '{user} {job}: {failed}/{count}, {cancelled}, {files}, {reason}'")

    (notice,) = write_chain(a_whole(a_failed(1)), sinks=["l"], texts=load_texts("en", own))

    assert notice.text == "user123 7f3: 1/2, 0, clip.mp4, the file is damaged"


def test_failures_of_which_none_is_known_any_more_are_only_counted() -> None:
    chain = Chain({JobState.COMPLETED: 2, JobState.FAILED: 1}, is_open=False)

    assert told(Whole(ROOT, chain, (), AT)).text.endswith("clip: 1 of 3 jobs did not succeed.")


def test_what_users_wrote_is_never_read_as_a_placeholder() -> None:
    root = a_job(data={"link": "{files} {"}, result={})

    assert told(a_whole(root=root)).text.startswith("{files} { is done")


def test_ten_thousand_files_are_counted_and_the_first_of_them_named() -> None:
    files = [{"path": f"/srv/media/results/5f1c/{number}.mp4"} for number in range(10_000)]
    root = a_job(result={"files": files})

    notice = told(a_whole(a_piece(1), root=root))

    body = json.loads(notice.body)
    assert len(body["results"]) == MOST_RESULTS
    assert body["chain"]["leftOut"] == {"results": 10_001 - MOST_RESULTS}
    assert len(notice.body) < 100_000
    assert notice.text.endswith("4.mp4 and 9996 more")


def test_results_that_are_large_are_left_out_as_soon_as_there_is_no_room() -> None:
    large = {"data": {"text": "x" * (LARGEST // 2)}}

    notice = told(a_whole(a_piece(1, result=large), a_piece(2, result=large)))

    body = json.loads(notice.body)
    assert len(body["results"]) == 2
    assert body["chain"]["leftOut"] == {"results": 1}


def test_failures_that_are_not_named_are_counted() -> None:
    many = [a_failed(number, Failure("x" * 9000)) for number in range(MOST_FAILURES + 5)]

    notice = told(a_whole(*many, unlisted=1000))

    body = json.loads(notice.body)
    assert len(body["chain"]["failures"]) == MOST_FAILURES
    assert body["chain"]["leftOut"] == {"failures": 5, "jobs": 1000}
    assert len(notice.body) < 100_000
    assert body["chain"]["total"] == MOST_FAILURES + 5 + 1 + 1000


def test_a_chain_that_lists_its_first_job_among_the_others_counts_it_once() -> None:
    whole = a_whole(a_piece(1))

    body = json.loads(told(Whole(ROOT, whole.chain, (ROOT, *whole.members), AT)).body)

    assert body["results"] == ["clip.mp4", "piece1.mp4"]
    assert "leftOut" not in body["chain"]
