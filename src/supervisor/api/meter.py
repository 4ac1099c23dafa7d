"""How often each caller may ask: one pace for all, an account for each."""

from supervisor.core.rates import MICROSECONDS, Pace, place

MOST_ACCOUNTS = 10_000  # remembered; whoever is forgotten starts afresh


class Meter:
    """Counts requests by account; nothing is kept of those who have rested."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._due: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._due)

    def take(self, account: str, now: float) -> float:
        """Count a request and return 0, or the seconds until the next one is taken.

        Args:
            account: on whose.
            now: monotonic seconds.
        """
        moment = round(now * MICROSECONDS)
        slot = place(self._due.get(account, 0), moment, self._pace)
        if slot.at > moment:
            return (slot.at - moment) / MICROSECONDS
        if len(self._due) >= MOST_ACCOUNTS:
            self._forget(moment)
        self._due[account] = slot.due
        return 0.0

    def _forget(self, moment: int) -> None:
        """Drop the accounts of those who have rested; of all, if nobody has."""
        self._due = {name: due for name, due in self._due.items() if due > moment}
        if len(self._due) >= MOST_ACCOUNTS:
            self._due.clear()
