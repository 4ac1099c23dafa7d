"""Whether the ledger can be written: in trouble from the first refusal, well after two probes.

Whoever reads or writes tells what befell it; all on the loop's thread. One place knows, so that
one line of the log tells of it, however many writes wait.
"""

from collections.abc import Callable

from supervisor.core.troubles import Trouble


class Troubles:
    """The ledger's trouble, if it is in any."""

    def __init__(self) -> None:
        self.now: Trouble | None = None
        self.changed: Callable[[], None] = lambda: None
        self._is_quiet = True  # nothing was refused since the last probe

    def refused(self, trouble: Trouble) -> None:
        """Note that something was not read or written; the same fault again is no news."""
        self._is_quiet = False
        now = self.now
        if now is None or (now.fault is not trouble.fault and not now.is_lasting):
            self.now = trouble
            self.changed()

    def probed(self) -> None:
        """Note that a probe was written.

        The second one without a refusal in between ends the trouble: a disk that has room for a
        probe and none for what waits would otherwise end it again and again.
        """
        if self.now is None or self.now.is_lasting:
            return
        if self._is_quiet:
            self.now = None
            self.changed()
        self._is_quiet = True
