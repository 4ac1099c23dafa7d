"""The copies of a message: what is added to it, and what is left out when it must be."""

from consumers import copies, jobs
from consumers.broker.port import Message
from consumers.jobs import Properties
from tests.support.sessions import a_message

LONGEST_ID = "7" * 255  # what the AMQP property takes


def test_a_slimmed_copy_is_known_as_the_same_job_and_keeps_all_but_foreign_headers() -> None:
    huge = {"tenant": "t" * 100_000, "trace": 1}
    message = a_message(b"{}", message_id=LONGEST_ID, type="t", headers=huge)
    copy = copies.again(message, job_id=LONGEST_ID, seq=3, attempts=2)

    slim = copies.slimmed(copies.known_by(copy, "q" * 255))

    own = {jobs.JOB_ID: LONGEST_ID, jobs.SEQ: 3, jobs.ATTEMPTS: 2, jobs.HOME: "q" * 255}
    told = Properties(message_id=LONGEST_ID, type="t", headers=own | {jobs.DROPPED: 2})
    assert slim == Message(b"{}", told)


def test_a_slimmed_copy_has_no_property_that_amqp_has_no_room_for() -> None:
    """Those of messages that came by other ways than AMQP may have any length."""
    message = a_message(b"{}", message_id="7", type="ü" * 128, reply_to="r" * 255)

    slim = copies.slimmed(message)

    told = Properties(message_id="7", reply_to="r" * 255, headers={jobs.DROPPED: 1})
    assert slim == Message(b"{}", told)
