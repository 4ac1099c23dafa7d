"""The configuration as commands need it: loaded and right, or exit code 78."""

import os

from supervisor.cli.exits import Complaint, ExitCode
from supervisor.cli.options import config_path, role
from supervisor.config.hooks import unusable_hooks
from supervisor.config.load import Configuration, read
from supervisor.config.mistakes import ConfigError, Mistake
from supervisor.config.processors import missing_processors
from supervisor.config.roles import ROLE
from supervisor.config.settings import Settings
from supervisor.config.tokens import unusable_tokens
from supervisor.config.wording import unusable_notices


def configuration() -> Configuration:
    """Return the configuration of this call."""
    environ = dict(os.environ)
    if (named := role()) is not None:
        environ[ROLE] = named
    try:
        return read(config_path(), environ)
    except ConfigError as error:
        raise _complaint(error.mistakes) from error


def settings() -> Settings:
    """Return the settings of this call."""
    return configuration().settings


def runnable() -> Configuration:
    """Return the configuration when its processors, hooks, notices and tokens can be used too."""
    found = configuration()
    unusable = (*unusable_notices(found), *unusable_tokens(found), *unusable_hooks(found))
    if mistakes := (*unusable, *missing_processors(found)):
        raise _complaint(mistakes)
    return found


def _complaint(mistakes: tuple[Mistake, ...]) -> Complaint:
    count = "one mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
    lines = "\n".join(f"  {mistake.sentence()}" for mistake in mistakes)
    return Complaint(f"the configuration has {count}:\n{lines}", ExitCode.CONFIG)
