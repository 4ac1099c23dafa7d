"""What a user is told about a job: one notice a sink, written when the outcome is final.

Who is told: the user named in ``from``, unless the job said ``noreply``; without ``from`` there is
nobody to tell, and no sink hears of it. The sentences come as checked templates, so that this
module knows no language; ``PLACEHOLDERS`` says what a template may mention.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from consumers.outcome import Failure
from supervisor.core.chains import BESIDE, SUBTITLES
from supervisor.core.records import JobRecord, Notice

COMPLETED = "job.completed"
FAILED = "job.failed"

# What each kind of text (the part of its key before the dot) may mention.
_ABOUT = frozenset({"user", "job", "pool", "queue", "subject"})
PLACEHOLDERS: Mapping[str, frozenset[str]] = {
    "completed": _ABOUT | {"files", "count", "kind"},
    "failed": _ABOUT | {"reason"},
    "chain": _ABOUT | {"files", "count", "failed", "cancelled", "reason", "first"},
    "reason": frozenset({"message", "hint", "code"}),
    "files": frozenset({"files", "count", "subtitles"}),
    "kind": frozenset(),
}

_USUAL = "video"  # kind of files

FILES_NAMED = 5  # in a sentence; the webhook's body has them all
LONGEST_FACT = 300  # characters of a link or message inside a sentence

Texts = Mapping[str, str]


class Told(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """The job as a webhook's receiver sees it; the same names and values as in the API."""

    id: str
    pool: str
    queue: str
    data: object
    # Required fields are written even when they are 0, whatever omit_defaults says.
    attempts: int
    priority: int
    created_at: datetime | None = None
    finished_at: datetime | None = None


class Wrong(msgspec.Struct, frozen=True):
    """Why a job failed, as a webhook's receiver sees it."""

    code: str
    message: str
    hint: str


class _Body(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """The webhook's body: ``results`` or ``error``, never both."""

    event: str
    job: Told
    sender: str = msgspec.field(name="from")
    queue_name: str
    results: tuple[object, ...] | None = None
    error: Wrong | None = None


def write_completed(
    job: JobRecord, result: Mapping[str, object], *, sinks: Sequence[str], texts: Texts
) -> tuple[Notice, ...]:
    """Return what the job's user is told about its result, once for each sink."""
    if not is_told(job):
        return ()
    body = _body(COMPLETED, job, results=results_of(result))
    return for_each(sinks, _notice(COMPLETED, job, _success(job, result, texts), body))


def write_failed(
    job: JobRecord, failure: Failure, *, sinks: Sequence[str], texts: Texts
) -> tuple[Notice, ...]:
    """Return what the job's user is told about its final failure, once for each sink."""
    if not is_told(job):
        return ()
    body = _body(FAILED, job, error=wrong(failure))
    return for_each(sinks, _notice(FAILED, job, _failure(job, failure, texts), body))


def is_told(job: JobRecord) -> bool:
    """Answer whether anybody wants to hear how this job ended."""
    return bool(job.sender) and not job.noreply


def files_of(result: Mapping[str, object]) -> tuple[str, ...]:
    """Return the paths of the files a job produced, in its own order."""
    files = result.get("files")
    if not isinstance(files, list | tuple):
        return ()
    paths = (file.get("path") if isinstance(file, Mapping) else file for file in files)
    return tuple(path for path in paths if isinstance(path, str))


def results_of(result: Mapping[str, object]) -> tuple[object, ...]:
    """Return what a webhook lists as results: file paths, else the one object it returned."""
    files = files_of(result)
    if files:
        return files
    data = result.get("data")
    return (data,) if data else ()


def _notice(event: str, job: JobRecord, text: str, body: bytes) -> Notice:
    outcome = event.removeprefix("job.")
    return Notice(
        key=f"{job.queue}:{job.id}:{outcome}",
        event=event,
        sink="",
        queue=job.queue,
        job_id=job.id,
        sender=job.sender,
        text=text,
        body=body,
        due_at=job.finished_at,
    )


def wrong(failure: Failure) -> Wrong:
    """Return a failure as a webhook's receiver sees it."""
    return Wrong(code=failure.code, message=failure.message, hint=failure.hint)


def told_of(job: JobRecord) -> Told:
    """Return a job as a webhook's receiver sees it."""
    return Told(
        id=job.id,
        pool=job.pool,
        queue=job.queue,
        data=job.data,
        attempts=job.attempts,
        priority=int(job.priority),
        created_at=job.created_at,
        finished_at=job.finished_at,
    )


def for_each(sinks: Sequence[str], notice: Notice) -> tuple[Notice, ...]:
    """Return a notice once for each sink."""
    return tuple(msgspec.structs.replace(notice, sink=sink) for sink in sinks)


def _body(
    event: str,
    job: JobRecord,
    *,
    results: tuple[object, ...] | None = None,
    error: Wrong | None = None,
) -> bytes:
    body = _Body(
        event=event,
        job=told_of(job),
        sender=job.sender,
        queue_name=job.queue,
        results=results,
        error=error,
    )
    return msgspec.json.encode(body)


def _success(job: JobRecord, result: Mapping[str, object], texts: Texts) -> str:
    text = texts.get(f"completed.{job.pool}", texts["completed.other"])
    files, kinds = files_of(result), kinds_of(result)
    if not files and "{files}" in text:
        text = texts["completed.nothing"]
    main = {kind for kind in kinds.values() if kind not in BESIDE}
    kind = main.pop() if len(main) == 1 else "other"
    facts = facts_of(job) | {"files": in_words(files, kinds, texts), "count": str(len(files))}
    return text.format_map(facts | {"kind": texts.get(f"kind.{kind}", texts["kind.other"])})


def _failure(job: JobRecord, failure: Failure, texts: Texts) -> str:
    text = texts.get(f"failed.{job.pool}", texts["failed.other"])
    return text.format_map(facts_of(job) | {"reason": reason_of(failure, texts)})


def reason_of(failure: Failure, texts: Texts) -> str:
    """Return why a job failed, in words for its user."""
    reason = texts.get(f"reason.{failure.code}", texts["reason.other"])
    why = {"message": failure.message, "hint": failure.hint, "code": failure.code}
    return reason.format_map({name: shown(fact) for name, fact in why.items()})


def facts_of(job: JobRecord) -> dict[str, str]:
    """Return what every sentence about a job may mention."""
    facts = {"user": job.sender, "job": job.id, "pool": job.pool, "queue": job.queue}
    return {name: shown(fact) for name, fact in (facts | {"subject": _subject(job)}).items()}


def _subject(job: JobRecord) -> str:
    """Return what the user knows the job by: the link, the file's name, else the job's id."""
    data = job.data if isinstance(job.data, Mapping) else {}
    link, path = data.get("link"), data.get("filePath")
    if isinstance(link, str) and link.strip():
        return link
    name = path.rstrip("/").rpartition("/")[2] if isinstance(path, str) else ""
    return name or job.id


def kinds_of(result: Mapping[str, object]) -> Mapping[str, str]:
    """Return what kind of file each path is; one that does not say so is a video."""
    files = result.get("files")
    told = [file for file in files if isinstance(file, Mapping)] if isinstance(files, list) else []
    return {str(file.get("path")): str(file.get("kind", _USUAL)) for file in told}


def in_words(files: tuple[str, ...], kinds: Mapping[str, str], texts: Texts) -> str:
    """Return the files in words: subtitles are not what was asked for, but come with it."""
    subtitles = tuple(file for file in files if kinds.get(file) == SUBTITLES)
    rest = tuple(file for file in files if kinds.get(file) != SUBTITLES)
    if not subtitles or not rest:
        return _few(files, texts)
    named = {"files": _few(rest, texts), "subtitles": _few(subtitles, texts)}
    return texts["files.subtitles"].format_map({**named, "count": str(len(files))})


def _few(files: tuple[str, ...], texts: Texts) -> str:
    named = ", ".join(shown(file) for file in files[:FILES_NAMED])
    more = len(files) - FILES_NAMED
    if more <= 0:
        return named
    return texts["files.more"].format_map({"files": named, "count": str(more), "subtitles": ""})


def shown(fact: str) -> str:
    """Return a foreign text fit for one line: no control or direction marks, not endless."""
    plain = "".join(char if char.isprintable() else " " for char in fact)
    return plain if len(plain) <= LONGEST_FACT else f"{plain[: LONGEST_FACT - 1]}…"
