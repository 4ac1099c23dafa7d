"""Reading ``events`` and ``hooks``: to whom it is told what happens, and how much of it."""

from supervisor.config.mistakes import did_you_mean
from supervisor.config.section import Section
from supervisor.config.settings import Events
from supervisor.news import EVENTS, is_known

_OFF = frozenset({"off", "false", "no"})  # YAML 1.1 takes all of them for the same
_LONGEST = 255  # bytes of a name in AMQP


def read_events(events: Section) -> Events:
    """Return whether and where events are published."""
    default = Events()
    found = Events(
        exchange=events.value("exchange", _exchange, default.exchange),
        only=events.values("only", _event),
    )
    events.finish()
    return found


def _exchange(value: str) -> str:
    if value.lower() in _OFF:
        return ""
    if not value.strip() or len(value.encode()) > _LONGEST or value.startswith("amq."):
        message = (
            "must be the name of an exchange of ours (up to 255 bytes, not beginning with amq.) "
            f"or off, is '{value}'"
        )
        raise ValueError(message)
    return value


def _event(value: str) -> str:
    if not is_known(value):
        message = f"'{value}' is no event; {did_you_mean(value, (*EVENTS, 'worker.*'))}"
        raise ValueError(message)
    return value
