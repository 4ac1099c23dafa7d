"""Whether the processors named in the file exist, asked of a child process.

The coordinator never imports a processor: what media libraries or a user's code do at import
stays in a process of its own.
"""

import subprocess
import sys
from collections.abc import Iterator, Sequence

import msgspec

from supervisor.config.load import Configuration
from supervisor.config.mistakes import Mistake
from supervisor.config.settings import Pool

ASK = (sys.executable, "-m", "workers.registry")
_PATIENCE = 60.0  # seconds; a model library may take its time


class _Answer(msgspec.Struct, frozen=True):
    name: str
    error: str | None = None


def missing_processors(
    configuration: Configuration, *, ask: Sequence[str] = ASK
) -> tuple[Mistake, ...]:
    """Return a mistake for every place that names a processor which cannot be imported."""
    pools = configuration.settings.workers.values()
    errors = faults(sorted({name for pool in pools for name in pool.processors}), ask=ask)
    return tuple(
        Mistake(configuration.file, configuration.lines.get(key, 0), key, f"{name}: {errors[name]}")
        for pool in pools
        for key, name in _named(pool)
        if name in errors
    )


def _named(pool: Pool) -> Iterator[tuple[str, str]]:
    """Yield every key under which a pool names a processor, and what it names."""
    key = f"workers.{pool.name}"
    yield f"{key}.processor", pool.processor
    for job_type, name in pool.types.items():
        yield f"{key}.types.{job_type}", name


def faults(names: Sequence[str], *, ask: Sequence[str] = ASK) -> dict[str, str]:
    """Return why processors cannot be used, by name; those that can are absent."""
    try:
        child = subprocess.run(
            [*ask, *names], capture_output=True, timeout=_PATIENCE, check=False, text=True
        )
    except subprocess.TimeoutExpired:
        why = f"its import took more than {_PATIENCE:g} s; a module must not work when imported"
        return dict.fromkeys(names, why)
    answered = dict(_answers(child.stdout))
    silent = f"the import ended the process: {_last_line(child.stderr) or child.returncode}"
    return {name: why for name in names if (why := answered.get(name, silent))}


def _answers(output: str) -> list[tuple[str, str]]:
    answers = []
    for line in output.splitlines():
        try:
            answer = msgspec.json.decode(line, type=_Answer)
        except msgspec.DecodeError:  # something a processor printed when it was imported
            continue
        answers.append((answer.name, answer.error or ""))
    return answers


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1].strip() if lines else ""
