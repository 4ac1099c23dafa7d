"""The spool: outcomes a worker has handed in, on disk for as long as they may be unknown.

A coordinator that is killed takes along what it had heard and not yet written down, and its workers
end with it. The next one finds here what they had done, so that it is not done again. A help and no
promise: nothing is synced, nothing waits for it, and without it jobs are done again as ADR 17 says.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from consumers import logs
from consumers.desk import Claim, Run
from workers.messages import JobError, JobResult

ENDING = ".jsonl"
LONGEST = 1_000_000  # bytes of one outcome; a longer one is not kept
ROUND = 1_000_000  # bytes after which the file is begun anew

_PRIVATE, _FOLDER = 0o600, 0o700
_BOOT = Path("/proc/sys/kernel/random/boot_id")

Key = tuple[str, str]  # queue and job id

log = logs.get(__name__)


class Began(msgspec.Struct, frozen=True, tag_field="what", tag="began"):
    """The first line: since which start of the machine. What a power failure left is not read."""

    boot: str


class HandedIn(msgspec.Struct, frozen=True, tag_field="what", tag="handed-in"):
    """What became of a run, and all that was known of its job: the claim, and what was granted."""

    claim: Claim
    run: Run
    outcome: JobResult | JobError


class Over(msgspec.Struct, frozen=True, tag_field="what", tag="over"):
    """A job's outcome is recorded, and its delivery acked perhaps: nothing follows from it now."""

    queue: str
    job_id: str


_Line = Began | HandedIn | Over
_encode = msgspec.json.Encoder().encode
_decoder = msgspec.json.Decoder(_Line)


class Spool:
    """The writing side, one for each process of a worker; an empty ``file`` keeps nothing."""

    def __init__(self, file: str) -> None:
        self._path = Path(file) if file else None
        self._file = -1
        self._size = 0
        self._granted: dict[Key, tuple[Claim, Run]] = {}
        self._kept: dict[Key, bytes] = {}  # the lines that count
        self._round = ROUND
        self._lost = -1  # the newest session that is over
        self._is_in_trouble = False

    def granted(self, claim: Claim, run: Run) -> None:
        """Note what a job is run by; not kept as long as it has no outcome."""
        is_lost = claim.job_id is None and claim.session <= self._lost
        if self._path is not None and not is_lost:
            self._granted[claim.queue, run.job_id] = (claim, run)

    def hand_in(self, outcome: JobResult | JobError) -> None:
        """Keep the outcome of a job that was granted and not forgotten since."""
        key = _key(outcome)
        granted = self._granted.get(key)
        if granted is None:
            return
        line = _encode(HandedIn(*granted, outcome)) + b"\n"
        if len(line) <= LONGEST:
            self._kept[key] = line
            self._append(line)

    def noted(self, outcome: JobResult | JobError) -> None:
        """Forget an outcome that is recorded, unless only we know that its message comes again."""
        key = _key(outcome)
        granted = self._granted.get(key)
        if granted is None or granted[0].job_id is not None:
            self.forget(key)

    def lost(self, session: int) -> None:
        """Forget what came without an id by this session: whoever gets it next may ack it."""
        self._lost = max(session, self._lost)
        gone = [
            key
            for key, (claim, _) in self._granted.items()
            if claim.job_id is None and claim.session <= session
        ]
        for key in gone:
            self.forget(key)

    def forget(self, key: Key) -> None:
        """Keep nothing of a job any more."""
        self._granted.pop(key, None)
        if self._kept.pop(key, None) is not None:
            self._append(_encode(Over(*key)) + b"\n")

    def _append(self, line: bytes) -> None:
        try:
            if self._file < 0 or self._size > self._round:
                self._begin()
            else:
                self._write(line)
        except OSError as error:
            self._give_up(error)
        else:
            self._is_in_trouble = False

    def _begin(self) -> None:
        """Write everything that counts into an empty file."""
        if self._path is None:
            return
        if self._file < 0:
            self._path.parent.mkdir(mode=_FOLDER, parents=True, exist_ok=True)
            how = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            self._file = os.open(self._path, how, _PRIVATE)
        os.ftruncate(self._file, 0)
        self._size = 0
        self._write(b"".join((_encode(Began(_boot())) + b"\n", *self._kept.values())))
        self._round = max(ROUND, 2 * self._size)

    def _write(self, lines: bytes) -> None:
        written = os.write(self._file, lines)
        self._size += written
        if written < len(lines):
            message = "no room for a whole line"
            raise OSError(message)

    def _give_up(self, error: OSError) -> None:
        """Keep nothing for now: the next outcome is tried with an empty file."""
        self._kept.clear()
        if self._path is not None:
            discard(self._path)
        if self._file >= 0:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, 0)
            with contextlib.suppress(OSError):
                os.close(self._file)
        self._file = -1
        if not self._is_in_trouble:
            log.warning("outcomes not spooled", file=str(self._path), why=str(error))
        self._is_in_trouble = True


def take(folder: Path) -> tuple[HandedIn, ...]:
    """Return what the workers of a coordinator that was killed had handed in, and was not over.

    It is taken once: what cannot be removed is not returned, or it would come again, long after.
    """
    taken: list[HandedIn] = []
    for file in sorted(folder.glob(f"*{ENDING}")):
        pending = _pending(file)
        if discard(file):
            taken += pending.values()
    return tuple(taken)


def discard(file: Path) -> bool:
    """Remove the file of a process that nobody needs any more; answer whether it is gone."""
    try:
        file.unlink(missing_ok=True)
    except OSError as error:
        log.warning("spool not removed", file=str(file), why=str(error))
        return False
    return True


def _pending(file: Path) -> dict[Key, HandedIn]:
    pending: dict[Key, HandedIn] = {}
    is_of_now = False
    for line in _lines(file):
        match line:
            case Began(boot=boot):
                is_of_now = bool(boot) and boot == _boot()
            case HandedIn(claim=claim, run=run):
                if is_of_now:
                    pending[claim.queue, run.job_id] = line
            case Over(queue=queue, job_id=job_id):
                pending.pop((queue, job_id), None)
    return pending


def _lines(file: Path) -> Iterator[_Line]:
    """Return the whole lines up to the first that makes no sense."""
    try:
        raw = file.read_bytes()
    except OSError as error:
        log.warning("spool unreadable, its jobs run again", file=str(file), why=str(error))
        return
    for line in raw.splitlines(keepends=True):
        if not line.endswith(b"\n"):
            return  # its writer was killed in it
        try:
            yield _decoder.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            log.warning("spool unreadable from here on", file=str(file), why=str(error))
            return


def _key(outcome: JobResult | JobError) -> Key:
    return outcome.queue_name, outcome.job_id or ""


def _boot() -> str:
    """Return which start of the machine this is; nothing where nobody says."""
    try:
        return _BOOT.read_text().strip()
    except OSError:
        return ""
