"""After how many attempts jobs end, as rows."""

from supervisor.core.records import JobState
from supervisor.core.retries import RetryRow, rows


def test_jobs_are_counted_by_the_attempt_they_ended_with_or_wait_for() -> None:
    found = rows(
        {
            (JobState.COMPLETED, 0): 90,
            (JobState.COMPLETED, 1): 8,
            (JobState.FAILED, 3): 2,
            (JobState.DELAYED, 1): 4,
            (JobState.WAITING, 0): 5,
            (JobState.PENDING, 0): 1,
            (JobState.ACTIVE, 2): 1,
        }
    )

    assert found == (
        RetryRow(1, completed=90, waiting=6),
        RetryRow(2, completed=8, waiting=4),
        RetryRow(3, failed=2, active=1),
    )


def test_a_job_that_was_never_tried_ended_with_no_attempt() -> None:
    found = rows({(JobState.FAILED, 0): 2, (JobState.REMOVED, 0): 1, (JobState.CANCELLED, 1): 1})

    assert found == (RetryRow(0, failed=2, cancelled=1), RetryRow(1, cancelled=1))


def test_no_number_of_attempts_between_is_left_out() -> None:
    assert [row.attempts for row in rows({(JobState.FAILED, 4): 1})] == [1, 2, 3, 4]


def test_of_no_jobs_there_are_no_rows() -> None:
    assert rows({}) == ()
