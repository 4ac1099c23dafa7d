"""What is said, and shown, of the session for parked jobs."""

import pytest
from structlog.testing import capture_logs

from consumers.errors import BrokerError, ForbiddenError, OccupiedError, UnreachableError
from supervisor.core.readiness import Parking
from supervisor.gatekeeper import Gatekeeper

KEPT_OUT = OccupiedError("somebody else is here")
REFUSED = ForbiddenError("access refused")
AWAY = UnreachableError("nobody answers")


@pytest.mark.parametrize(
    ("errors", "is_well", "said"),
    [
        pytest.param([KEPT_OUT, KEPT_OUT], True, [KEPT_OUT], id="kept out: at once, and once"),
        pytest.param([KEPT_OUT], False, [KEPT_OUT], id="kept out while the other session is gone"),
        pytest.param([KEPT_OUT, AWAY, KEPT_OUT], True, [KEPT_OUT] * 2, id="again after an outage"),
        pytest.param([AWAY, AWAY, AWAY], True, [], id="an outage"),
        pytest.param([REFUSED, REFUSED], False, [], id="the broker refuses the other one too"),
        pytest.param([REFUSED], True, [], id="refused first, and the other one soon"),
        pytest.param([REFUSED] * 3, True, [REFUSED], id="only this one is refused"),
    ],
)
def test_only_what_keeps_this_session_alone_away_is_an_error(
    errors: list[BrokerError], said: list[BrokerError], *, is_well: bool
) -> None:
    gatekeeper = Gatekeeper(lambda: is_well)
    with capture_logs() as lines:
        for failed, error in enumerate(errors, start=1):
            gatekeeper.troubled(error, failed, 1.0)

    assert [line["why"] for line in lines if line["log_level"] == "error"] == [
        str(error) for error in said
    ]
    shown = gatekeeper.parking
    assert (shown.is_open, shown.is_ours) == (False, bool(said) and errors[-1] is said[-1])


def test_it_is_shut_until_it_was_opened_and_again_when_its_session_is_lost() -> None:
    gatekeeper = Gatekeeper(lambda: True)
    assert not gatekeeper.parking.is_open

    gatekeeper.opened("a peer")
    assert gatekeeper.parking == Parking()

    gatekeeper.troubled(AWAY, 1, 1.0)
    assert not gatekeeper.parking.is_open
    gatekeeper.opened("a peer")
    assert gatekeeper.parking == Parking()


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (KEPT_OUT, "somebody else is here"),
        (ForbiddenError("access refused", hint="grant it"), "access refused (grant it)"),
        (REFUSED, "access refused; look at the broker's log"),
    ],
)
def test_why_it_is_shut_is_shown_in_the_brokers_words_with_what_to_do(
    error: BrokerError, why: str
) -> None:
    gatekeeper = Gatekeeper(lambda: True)
    gatekeeper.troubled(error, 2, 1.0)

    assert gatekeeper.parking.why.startswith(why)
    assert gatekeeper.parking.is_ours
