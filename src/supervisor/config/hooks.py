"""Whether the hooks named in the file can be called, asked of a child process."""

import sys
from collections.abc import Sequence

from supervisor.config.load import Configuration
from supervisor.config.mistakes import Mistake
from supervisor.config.processors import faults

ASK = (sys.executable, "-m", "supervisor.hooks.child", "--check")


def unusable_hooks(
    configuration: Configuration, *, ask: Sequence[str] = ASK
) -> tuple[Mistake, ...]:
    """Return a mistake for every name under ``hooks`` that leads to no hook."""
    names = configuration.settings.hooks
    errors = faults(sorted(set(names)), ask=ask) if names else {}
    keys = {f"hooks[{index}]": name for index, name in enumerate(names)}
    return tuple(
        Mistake(configuration.file, configuration.lines.get(key, 0), key, f"{name}: {errors[name]}")
        for key, name in keys.items()
        if name in errors
    )
