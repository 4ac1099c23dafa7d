"""The configuration as commands need it: loaded and right, or exit code 78."""

import os

from supervisor.cli.exits import Complaint, ExitCode
from supervisor.cli.options import config_path
from supervisor.config.load import Configuration, read
from supervisor.config.mistakes import ConfigError, Mistake
from supervisor.config.processors import missing_processors
from supervisor.config.settings import Settings
from supervisor.config.wording import unusable_notices


def configuration() -> Configuration:
    """Return the configuration of this call."""
    try:
        return read(config_path(), os.environ)
    except ConfigError as error:
        raise _complaint(error.mistakes) from error


def settings() -> Settings:
    """Return the settings of this call."""
    return configuration().settings


def runnable() -> Configuration:
    """Return the configuration when its processors and notices can be used too."""
    found = configuration()
    if mistakes := (*unusable_notices(found), *missing_processors(found)):
        raise _complaint(mistakes)
    return found


def _complaint(mistakes: tuple[Mistake, ...]) -> Complaint:
    count = "one mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
    lines = "\n".join(f"  {mistake.sentence()}" for mistake in mistakes)
    return Complaint(f"the configuration has {count}:\n{lines}", ExitCode.CONFIG)
