"""The log sink: each notice is one line of the log, for those who read along."""

from consumers import logs
from supervisor.core.records import Notice
from supervisor.notify.sinks import LOG

log = logs.get(__name__)


class LogSink:
    """Writes notices into the log; it cannot fail."""

    @property
    def name(self) -> str:
        """What the outbox knows it by."""
        return LOG

    async def deliver(self, notice: Notice) -> None:
        """Write one line: who was told what about which job."""
        log.info(
            "user told",
            user=notice.sender,
            text=notice.text,
            outcome=notice.event,
            queue=notice.queue,
            job=notice.job_id,
            key=notice.key,
        )
