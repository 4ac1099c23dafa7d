"""Where the RabbitMQ versions of the tests are installed.

3.10 is what Debian 12 packages. 4.0 is in a Debian 13 tree that `tools/provision` lays under
the cache folder and that is entered with chroot, which needs root.
"""

import os
from dataclasses import dataclass
from pathlib import Path

SCRIPTS = Path("usr/lib/rabbitmq/bin")  # not the wrappers in PATH: those change the user


@dataclass(frozen=True, slots=True)
class Installation:
    """A RabbitMQ of one version and the root of the tree it lives in."""

    version: str
    root: Path

    @property
    def is_there(self) -> bool:
        return (self.root / SCRIPTS / "rabbitmq-server").exists() and self.may_enter

    @property
    def may_enter(self) -> bool:
        return self.root == Path("/") or os.geteuid() == 0

    def command(self, *words: str) -> list[str]:
        """Return the words that run a command inside the tree."""
        return list(words) if self.root == Path("/") else ["chroot", str(self.root), *words]


def cache_folder() -> Path:
    """Return the folder where `tools/provision` keeps what is dear to make."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "rabbit-supervisor"


def debian_12() -> Installation:
    return Installation("3.10", Path("/"))


def debian_13() -> Installation:
    return Installation("4.0", cache_folder() / "rabbitmq-4.0")
