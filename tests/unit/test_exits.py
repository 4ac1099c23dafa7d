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


@pytest.mark.parametrize(
    ("out_of_memory", "words"),
    [
        (True, "killed by the kernel, out of memory (SIGKILL)"),
        (False, "killed by SIGKILL (9)"),
        (None, "killed by SIGKILL (9), perhaps out of memory"),
    ],
)
def test_a_kill_is_the_kernels_if_the_kernel_says_so(
    *, out_of_memory: bool | None, words: str
) -> None:
    assert describe_exit(None, 9, out_of_memory=out_of_memory) == words


def test_the_kernels_word_is_for_kills_only() -> None:
    assert describe_exit(None, 11, out_of_memory=True) == "segmentation fault (SIGSEGV)"
    assert describe_exit(0, None, out_of_memory=False) == "left in order (exit code 0)"
