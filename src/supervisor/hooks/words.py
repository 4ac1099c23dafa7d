"""What the coordinator and the process of the hooks say to each other: JSON, a line each.

Down go events as they travel everywhere; up come these.
"""

import msgspec


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """The hooks are loaded, and want to hear events of these names."""

    names: tuple[str, ...]


class Unusable(msgspec.Struct, frozen=True, tag="unusable"):
    """Some hooks cannot be loaded: what was named, and what is wrong with it."""

    name: str
    why: str


class Calling(msgspec.Struct, frozen=True, tag="calling"):
    """A hook is being called."""

    hook: str


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """It raised, and where."""

    hook: str
    why: str


class Handled(msgspec.Struct, frozen=True, tag="handled"):
    """Every hook that wants the event has been called."""


FromHooks = Ready | Unusable | Calling | Failed | Handled
