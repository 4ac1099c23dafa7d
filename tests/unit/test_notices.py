"""Who is told what about a job."""

import json
from datetime import UTC, datetime

import pytest

from consumers.outcome import Failure
from supervisor.core.notices import Texts, files_of, results_of, write_completed, write_failed
from supervisor.core.records import JobRecord
from supervisor.notify import english, portuguese
from tests.support.notices import a_job

TEXTS = english.TEXTS
CLIP = {"files": [{"path": "/results/clip.mp4", "size": 10}], "data": {}}
NOT_FOUND = Failure("HTTP Error 404: Not Found", code="not_found", hint="check the link")


def test_every_sink_gets_its_notice_under_one_key() -> None:
    notices = write_completed(a_job(), CLIP, sinks=["log", "webhook:example.org"], texts=TEXTS)

    assert [notice.sink for notice in notices] == ["log", "webhook:example.org"]
    assert {notice.key for notice in notices} == {"download_queue:7f3:completed"}


def test_success_and_failure_of_one_job_have_different_keys() -> None:
    (failed,) = write_failed(a_job(), NOT_FOUND, sinks=["log"], texts=TEXTS)

    assert failed.key == "download_queue:7f3:failed"
    assert failed.event == "job.failed"


@pytest.mark.parametrize("job", [a_job(noreply=True), a_job(sender="")])
@pytest.mark.invariant(13)
def test_nobody_is_told_when_nobody_is_named_or_silence_was_asked_for(job: JobRecord) -> None:
    assert write_completed(job, CLIP, sinks=["log"], texts=TEXTS) == ()
    assert write_failed(job, NOT_FOUND, sinks=["log"], texts=TEXTS) == ()


def test_the_webhook_body_of_a_success_names_user_queue_and_results() -> None:
    at = datetime(2026, 11, 22, 5, 0, tzinfo=UTC)
    job = a_job(created_at=at, finished_at=at)

    (notice,) = write_completed(job, CLIP, sinks=["log"], texts=TEXTS)

    assert json.loads(notice.body) == {
        "event": "job.completed",
        "job": {
            "id": "7f3",
            "pool": "download",
            "queue": "download_queue",
            "data": {"link": "https://example.org/clip", "from": "user123"},
            "attempts": 0,
            "priority": 3,
            "createdAt": "2026-11-22T05:00:00Z",
            "finishedAt": "2026-11-22T05:00:00Z",
        },
        "from": "user123",
        "queueName": "download_queue",
        "results": ["/results/clip.mp4"],
    }


def test_the_webhook_body_of_a_failure_has_an_error_and_no_results() -> None:
    (notice,) = write_failed(a_job(attempts=3), NOT_FOUND, sinks=["log"], texts=TEXTS)

    body = json.loads(notice.body)
    assert body.keys() == {"event", "job", "from", "queueName", "error"}
    assert body["job"]["attempts"] == 3
    assert body["error"] == {
        "code": "not_found",
        "message": "HTTP Error 404: Not Found",
        "hint": "check the link",
    }


def test_results_are_there_even_when_a_job_returned_nothing() -> None:
    (notice,) = write_completed(a_job(), {}, sinks=["log"], texts=TEXTS)

    assert json.loads(notice.body)["results"] == []


def test_a_job_without_files_has_what_it_returned_as_its_result() -> None:
    assert results_of({"files": [], "data": {"answer": 42}}) == ({"answer": 42},)


def test_files_may_be_listed_as_paths_or_as_objects() -> None:
    assert files_of({"files": ["a.mp4", {"path": "b.mp4"}, 3, {}]}) == ("a.mp4", "b.mp4")
    assert files_of({"files": "a.mp4"}) == ()


@pytest.mark.parametrize(
    ("pool", "text"),
    [
        ("download", "Your video is here: /results/clip.mp4"),
        ("cutter", "Your video is cut, pieces: 1. /results/clip.mp4"),
        ("preview", "Your preview is ready: /results/clip.mp4"),
        ("hooks", "Your job 7f3 is done: /results/clip.mp4"),
    ],
)
def test_each_pool_says_success_in_its_own_words(pool: str, text: str) -> None:
    (notice,) = write_completed(a_job(pool=pool), CLIP, sinks=["log"], texts=TEXTS)

    assert notice.text == text


def test_a_job_without_files_is_not_said_to_be_anywhere() -> None:
    (notice,) = write_completed(a_job(), {"data": {"a": 1}}, sinks=["log"], texts=TEXTS)

    assert notice.text == "Your job 7f3 is done."


@pytest.mark.parametrize(
    ("files", "text"),
    [
        ([{"path": "a.mp3", "kind": "audio"}], "Your audio is here: a.mp3"),
        ([{"path": "a.mp4", "kind": "video"}], "Your video is here: a.mp4"),
        ([{"path": "a.jpg", "kind": "image"}], "Your file is here: a.jpg"),
        (
            [{"path": "a.mp4"}, {"path": "a.en.vtt", "kind": "subtitles"}],
            "Your video is here: a.mp4; subtitles: a.en.vtt",
        ),
        (
            [{"path": "a.mp4"}, {"path": "b.mp3", "kind": "audio"}],
            "Your file is here: a.mp4, b.mp3",
        ),
        ([{"path": "a.vtt", "kind": "subtitles"}], "Your file is here: a.vtt"),
    ],
)
def test_a_success_is_called_what_its_files_are(files: list[object], text: str) -> None:
    (notice,) = write_completed(a_job(), {"files": files}, sinks=["log"], texts=TEXTS)

    assert notice.text == text
    assert len(json.loads(notice.body)["results"]) == len(files)


@pytest.mark.parametrize(
    ("texts", "text"),
    [
        (english.TEXTS, "the request cannot be followed (ranges[0]: its field end is missing)."),
        (portuguese.TEXTS, "o pedido não pode ser atendido (ranges[0]: its field end is missing)."),
    ],
)
def test_the_user_is_told_which_option_is_wrong_and_why(texts: Texts, text: str) -> None:
    failure = Failure("ranges[0]: its field end is missing", code="bad_message")

    (notice,) = write_failed(a_job(), failure, sinks=["log"], texts=texts)

    assert notice.text.endswith(text)


def test_a_long_list_of_files_is_cut_short() -> None:
    files = [f"{number}.mp4" for number in range(9)]

    (notice,) = write_completed(a_job(pool="cutter"), {"files": files}, sinks=["log"], texts=TEXTS)

    assert notice.text.endswith("pieces: 9. 0.mp4, 1.mp4, 2.mp4, 3.mp4, 4.mp4 and 4 more")


@pytest.mark.parametrize(
    ("texts", "text"),
    [
        (
            english.TEXTS,
            "https://example.org/clip could not be downloaded: it does not exist, or not any more.",
        ),
        (
            portuguese.TEXTS,
            "Não foi possível baixar https://example.org/clip: não existe, ou não existe mais.",
        ),
    ],
)
def test_a_failure_is_explained_in_the_users_language(texts: Texts, text: str) -> None:
    (notice,) = write_failed(a_job(), NOT_FOUND, sinks=["log"], texts=texts)

    assert notice.text == text


def test_an_unknown_error_is_not_shown_to_the_user_in_its_own_words() -> None:
    failure = Failure("KeyError: 'formats' in /srv/app/site.py", code="exception")

    (notice,) = write_failed(a_job(), failure, sinks=["log"], texts=TEXTS)

    assert "KeyError" not in notice.text
    assert notice.text.endswith("something went wrong on our side.")


@pytest.mark.parametrize(
    ("data", "subject"),
    [
        ({"filePath": "/srv/media/films/clip.mp4"}, "clip.mp4"),
        ({"filePath": "/"}, "7f3"),
        ({"link": " "}, "7f3"),
        ({"link": 5}, "7f3"),
        ("not even an object", "7f3"),
    ],
)
def test_a_job_is_called_what_its_user_knows_it_by(data: object, subject: str) -> None:
    (notice,) = write_failed(a_job(data=data), NOT_FOUND, sinks=["log"], texts=TEXTS)

    assert notice.text.startswith(f"{subject} could not be downloaded")


def test_what_users_wrote_is_never_read_as_a_placeholder() -> None:
    job = a_job(data={"link": "{files} {user.__class__} {0} {"}, sender="{job}")

    (notice,) = write_failed(job, NOT_FOUND, sinks=["log"], texts=TEXTS)

    assert notice.text.startswith("{files} {user.__class__} {0} { could not")


def test_control_and_direction_marks_do_not_reach_the_text() -> None:
    job = a_job(data={"link": "a\nb\x1b[31m\u202ec"})

    (notice,) = write_failed(job, NOT_FOUND, sinks=["log"], texts=TEXTS)

    assert notice.text.startswith("a b [31m c could not")


def test_an_endless_link_is_cut_short() -> None:
    (notice,) = write_failed(a_job(data={"link": "x" * 5000}), NOT_FOUND, sinks=["l"], texts=TEXTS)

    assert len(notice.text) < 400
