"""Options that many commands share: which configuration, and JSON instead of tables."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., object])

CONFIG_FILE = "supervisor.yaml"
CONFIG_VARIABLE = "SUPERVISOR_CONFIG"
_KEY = "supervisor.config"


def takes_config(command: Command) -> Command:
    """Let a command take ``-c PATH`` after its name too, as people try first."""
    return click.option(
        "-c",
        "--config",
        type=click.Path(path_type=Path),
        callback=remember_config,
        expose_value=False,
        help=f"The configuration file.  [default: {CONFIG_FILE}]",
    )(command)


def takes_json(command: Command) -> Command:
    """Let a command answer in JSON, for programs."""
    option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
    return option(command)


def config_path() -> Path:
    """Return the configuration file of this call."""
    path = click.get_current_context().meta.get(_KEY)
    return path if isinstance(path, Path) else Path(CONFIG_FILE)


def remember_config(context: click.Context, _: click.Parameter, value: Path | None) -> None:
    """Keep the path for ``config_path``; the one named after the command wins."""
    if value is not None:
        context.meta[_KEY] = value
