"""Which exceptions of a processor are the machine's fault. Pure."""

import errno
from collections.abc import Iterator, Mapping

from consumers.errors import HostError

# What no job is to blame for, whoever raised it. EMFILE is not among them: a process that runs out
# of descriptors has mostly lost its own.
_CODES: Mapping[int, tuple[str, str]] = {
    errno.ENOSPC: ("disk_full", "make room"),
    errno.EDQUOT: ("disk_full", "raise the quota, or make room"),
    errno.EROFS: ("read_only", "look at the mount and at the kernel's log"),
    errno.ENFILE: ("exhausted", "the system has no file handles left"),
}


def of_machine(error: BaseException) -> HostError | None:
    """Return what the machine did to a processor, None when its exception says nothing of that."""
    for one in _causes(error):
        if isinstance(one, HostError):
            return one
        if isinstance(one, OSError) and (known := _CODES.get(one.errno or 0)):
            code, hint = known
            where = f": {one.filename}" if one.filename else ""
            return HostError(f"{one.strerror or one}{where}", code=code, hint=hint)
    return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an exception and those it was raised from; what was merely handled does not count."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__
