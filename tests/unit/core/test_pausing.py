"""Which pools are held and let go, from what operators have said of their queues."""

from supervisor.core.pausing import WHY, Change, change, wanted

QUEUES = {"download": "download_queue", "cutter": "cutter_queue"}


def test_a_pool_is_paused_when_its_queue_is_whatever_the_pool_is_called_here() -> None:
    paused_queues = {"cutter_queue": "maintenance", "somebody_elses": "no matter"}

    assert wanted(paused_queues, QUEUES) == {"cutter": "maintenance"}


def test_a_pause_without_words_gets_some() -> None:
    assert wanted({"cutter_queue": ""}, QUEUES) == {"cutter": WHY}


def test_what_is_new_is_held_what_is_over_let_go_and_a_new_reason_is_a_new_hold() -> None:
    before = {"download": "slow", "cutter": "sharp", "preview": "dark"}
    after = {"download": "slow", "cutter": "blunt", "upload": "full"}

    assert change(before, after) == Change({"cutter": "blunt", "upload": "full"}, ("preview",))
    assert change(after, after) == Change({}, ())
