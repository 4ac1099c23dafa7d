"""Options that many commands share: which configuration, and JSON instead of tables."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., object])

CONFIG_FILE = "supervisor.yaml"
CONFIG_VARIABLE = "SUPERVISOR_CONFIG"
URL_VARIABLE = "SUPERVISOR_URL"
_KEY = "supervisor.config"
ROLES = ("all", "api", "worker")
_ROLE = "supervisor.role"
_URL = "supervisor.url"
_TOKEN_FILE = "supervisor.token_file"  # noqa: S105 - a name


class Whole(click.IntRange):
    """A number of something; what is none is refused in plain words."""

    def convert(  # type: ignore[explicit-override]  # the word would have to be loaded each time
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Return the number. Raises UsageError."""
        try:
            int(str(value))
        except ValueError:
            self.fail(f"must be a whole number, is {value}", param, ctx)
        return int(super().convert(value, param, ctx))


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


def takes_supervisor(command: Command) -> Command:
    """Let a command ask the supervisor of ``-c PATH``, or one elsewhere: ``--url``."""
    url = click.option(
        "--url",
        metavar="URL",
        envvar=URL_VARIABLE,
        show_envvar=True,
        callback=_remember_url,
        expose_value=False,
        help="Ask the supervisor at this address, not the one on this machine.",
    )
    token_file = click.option(
        "--token-file",
        metavar="FILE",
        type=click.Path(path_type=Path),
        callback=_remember_token_file,
        expose_value=False,
        help="The file with the token for --url (or SUPERVISOR_TOKEN, SUPERVISOR_TOKEN_FILE).",
    )
    return takes_config(url(token_file(command)))


def takes_role(command: Command) -> Command:
    """Let a command be told which part of the work is done: ``--role``."""
    return click.option(
        "--role",
        type=click.Choice(ROLES),
        callback=_remember_role,
        expose_value=False,
        help="Take jobs only (api), work only (worker), or both (all).",
    )(command)


def takes_json(command: Command) -> Command:
    """Let a command answer in JSON, for programs."""
    option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
    return option(command)


def takes_yes(command: Command) -> Command:
    """Let a command that destroys something do so without asking."""
    return click.option("--yes", is_flag=True, help="Do not ask whether I am sure.")(command)


def role() -> str | None:
    """Return the role this call asks for, if it does."""
    found = click.get_current_context().meta.get(_ROLE)
    return found if isinstance(found, str) else None


def config_path() -> Path:
    """Return the configuration file of this call."""
    path = click.get_current_context().meta.get(_KEY)
    return path if isinstance(path, Path) else Path(CONFIG_FILE)


def supervisor_url() -> str | None:
    """Return the address of the supervisor to be asked; None: the one on this machine."""
    url = click.get_current_context().meta.get(_URL)
    return url if isinstance(url, str) else None


def token_file() -> Path | None:
    """Return the file with the token for that address, if one was named."""
    path = click.get_current_context().meta.get(_TOKEN_FILE)
    return path if isinstance(path, Path) else None


def remember_config(context: click.Context, _: click.Parameter, value: Path | None) -> None:
    """Keep the path for ``config_path``; the one named after the command wins."""
    if value is not None:
        context.meta[_KEY] = value


def _remember_url(context: click.Context, _: click.Parameter, value: str | None) -> None:
    if value is not None:
        context.meta[_URL] = value


def _remember_token_file(context: click.Context, _: click.Parameter, value: Path | None) -> None:
    if value is not None:
        context.meta[_TOKEN_FILE] = value


def _remember_role(context: click.Context, _: click.Parameter, value: str | None) -> None:
    if value is not None:  # the one named before the command holds after it too
        context.meta[_ROLE] = value
