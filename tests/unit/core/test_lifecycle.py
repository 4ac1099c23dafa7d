"""Every pair of the table, written out a second time: a change must be meant twice."""

import pytest

from supervisor.core.lifecycle import (
    SIGNAL_MEANINGS,
    STATE_MEANINGS,
    TABLE,
    IllegalSignalError,
    Signal,
    WorkerState,
    follow,
)

EXPECTED = {
    "starting": {
        "spawn": "starting",
        "ready": "idle",
        "complain": "error",
        "replace": "restarting",
        "stop": "stopping",
        "die": "crashed",
        "end": "stopped",
        "give up": "failed",
    },
    "idle": {
        "work": "processing",
        "complain": "error",
        "replace": "restarting",
        "stop": "stopping",
        "die": "crashed",
        "end": "stopped",
        "give up": "failed",
    },
    "processing": {
        "work": "processing",
        "rest": "idle",
        "complain": "error",
        "replace": "restarting",
        "stop": "stopping",
        "die": "crashed",
        "end": "stopped",
        "give up": "failed",
    },
    "error": {
        "order": "restarting",
        "ready": "error",
        "work": "error",
        "rest": "error",
        "complain": "error",
        "stop": "stopping",
    },
    "crashed": {"order": "restarting", "stop": "stopped"},
    "restarting": {
        "order": "restarting",
        "spawn": "starting",
        "ready": "restarting",
        "work": "restarting",
        "rest": "restarting",
        "complain": "restarting",
        "replace": "restarting",
        "stop": "stopping",
        "die": "crashed",
        "end": "stopped",
        "give up": "failed",
    },
    "stopping": {
        "spawn": "stopping",
        "ready": "stopping",
        "work": "stopping",
        "rest": "stopping",
        "complain": "stopping",
        "replace": "restarting",
        "stop": "stopping",
        "end": "stopped",
    },
    "stopped": {"order": "restarting", "stop": "stopped"},
    "failed": {"order": "restarting", "stop": "stopped"},
}
PAIRS = [(state, signal) for state in WorkerState for signal in Signal]


@pytest.mark.parametrize(("state", "signal"), PAIRS)
def test_every_pair_leads_where_the_table_says_or_is_refused(
    state: WorkerState, signal: Signal
) -> None:
    expected = EXPECTED[state.value].get(signal.value)

    if expected is None:
        with pytest.raises(IllegalSignalError) as caught:
            follow(state, signal)
        assert (caught.value.state, caught.value.signal) == (state, signal)
    else:
        assert follow(state, signal).value == expected


def test_the_words_on_the_wire_are_these() -> None:
    words = " ".join(state.value for state in WorkerState)

    assert words == "starting idle processing error crashed restarting stopping stopped failed"


def test_running_is_idle_or_processing() -> None:
    running = {state for state in WorkerState if state.is_running}

    assert running == {WorkerState.IDLE, WorkerState.PROCESSING}


def test_the_error_names_the_state_the_signal_and_what_is_possible() -> None:
    with pytest.raises(IllegalSignalError) as caught:
        follow(WorkerState.CRASHED, Signal.READY)

    assert str(caught.value) == (
        "a worker that is crashed cannot get the signal 'ready'; possible are: order, stop"
    )


def test_every_state_and_every_signal_has_a_row_and_a_meaning() -> None:
    used = {signal for row in TABLE.values() for signal in row}

    assert set(TABLE) == set(STATE_MEANINGS) == set(WorkerState)
    assert used == set(SIGNAL_MEANINGS) == set(Signal)


def test_no_state_is_a_dead_end() -> None:
    for state, row in TABLE.items():
        assert set(row.values()) - {state}, f"nothing leads out of {state.value}"
