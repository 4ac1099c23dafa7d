"""Whose wish it was that a download ended at: the job's own limits and format, or the pool's.

Pure. Who fetches knows one limit, the lower of two; the remedy depends on who set it.
"""

from consumers.errors import RefusedError, WorkError
from workers.media.faults import fault
from workers.media.fetching.wire import FetchRequest
from workers.media.settings import Settings

_NO_MATCH = "requested format is not available"  # yt-dlp's words


def owned(error: RefusedError, asked: FetchRequest, pool: Settings) -> WorkError:
    """Return the error, with the job's own field as the remedy where that is what stood in the way.

    Args:
        error: the final failure of a download.
        asked: what was asked for, the lower limits in it.
        pool: what the pool allows.
    """
    if error.code == "too_large" and asked.max_size < pool.max_size:
        return _of_the_job(error, "maxSize")
    if error.code == "too_long" and asked.max_duration < pool.max_duration:
        return _of_the_job(error, "maxDuration")
    if asked.format and _NO_MATCH in error.message.lower():
        return fault("bad_option", f"format: nothing behind this link matches {asked.format}")
    if asked.format and error.code == "bad_option" and not error.message.startswith("format"):
        return fault("bad_option", f"format: {error.message}")
    return error


def _of_the_job(error: RefusedError, field: str) -> RefusedError:
    hint = f"the limit is the job's own {field}: raise it, or leave it out"
    return RefusedError(error.message, code=error.code, hint=hint)
