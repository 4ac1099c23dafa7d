"""How a process ended, in words an operator understands."""

import signal

_MEANINGS = {
    signal.SIGSEGV: "segmentation fault (SIGSEGV)",
    signal.SIGABRT: "aborted (SIGABRT)",
    signal.SIGBUS: "bus error (SIGBUS)",
    signal.SIGFPE: "arithmetic fault (SIGFPE)",
    signal.SIGILL: "illegal instruction (SIGILL)",
    signal.SIGKILL: "killed by SIGKILL (9)",
    signal.SIGTERM: "ended by SIGTERM (15)",
    signal.SIGINT: "interrupted by SIGINT (2)",
}
OUT_OF_MEMORY = "killed by the kernel, out of memory (SIGKILL)"
PERHAPS = ", perhaps out of memory"
FAULTS = frozenset(
    {signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL}
)  # those after which the stack of the moment was written down


def describe_exit(
    code: int | None, number: int | None, *, out_of_memory: bool | None = None
) -> str:
    """Return the words for an exit by ``code`` or by signal ``number``; both None: unknown.

    ``out_of_memory`` is the kernel's word on a SIGKILL: whether that was its own; None: no word.
    """
    if number == signal.SIGKILL and out_of_memory is not False:
        return OUT_OF_MEMORY if out_of_memory else f"{_MEANINGS[signal.SIGKILL]}{PERHAPS}"
    if number is not None:
        return _describe_signal(number)
    if code is None:
        return "exit status unknown"
    return "left in order (exit code 0)" if code == 0 else f"exit code {code}"


def _describe_signal(number: int) -> str:
    try:
        known = signal.Signals(number)
    except ValueError:
        return f"killed by signal {number}"
    return _MEANINGS.get(known, f"killed by {known.name} ({number})")
