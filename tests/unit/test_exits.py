"""The words for how a process ended."""

import pytest

from supervisor.core.exits import describe_exit


@pytest.mark.parametrize(
    ("code", "number", "words"),
    [
        (0, None, "left in order (exit code 0)"),
        (3, None, "exit code 3"),
        (None, 9, "killed by SIGKILL (9), perhaps out of memory"),
        (None, 11, "segmentation fault (SIGSEGV)"),
        (None, 1, "killed by SIGHUP (1)"),
        (None, 200, "killed by signal 200"),
        (None, None, "exit status unknown"),
    ],
)
def test_an_exit_is_told_in_words(code: int | None, number: int | None, words: str) -> None:
    assert describe_exit(code, number) == words
