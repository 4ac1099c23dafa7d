"""Which functions of the user's are hooks: ``on_completed`` of a module, or one named function."""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType, ModuleType
from typing import cast

from supervisor.config.mistakes import did_you_mean
from supervisor.news import EVENTS
from supervisor.ports import Event
from workers.registry import RegistryError, accepts, module_named

Function = Callable[[Event], object]

_BEGINNING = "on_"
EVERY = "on_event"  # is called with all of them

# The name of the function for each event: on_worker_crashed for worker.crashed.
FUNCTIONS: Mapping[str, str] = MappingProxyType(
    {f"{_BEGINNING}{name.replace('.', '_')}": name for name in EVENTS}
)


@dataclass(frozen=True, slots=True)
class Hook:
    """One function, and the events it is called with; none named: all."""

    name: str
    call: Function
    event: str = ""

    def wants(self, event: str) -> bool:
        """Answer whether it is called with events of this name."""
        return self.event in {"", event}


def find(name: str) -> tuple[Hook, ...]:
    """Return the hooks of ``package.module``, or the one named ``package.module:function``.

    Raises:
        RegistryError: there are none, or one of them could never be called.
    """
    path, _, function = name.partition(":")
    module = module_named(path)
    hooks = tuple(_named(name, module, function) if function else _all(name, module))
    for hook in hooks:
        if not accepts(hook.call, arguments=1):
            what = f"{hook.name.rpartition('.')[2]!r} must accept (event)"
            raise RegistryError(name, what)
    return hooks


def wanted(hooks: Sequence[Hook]) -> tuple[str, ...]:
    """Return the names of the events that hooks are called with."""
    return tuple(name for name in EVENTS if any(hook.wants(name) for hook in hooks))


def _all(name: str, module: ModuleType) -> Iterator[Hook]:
    found = [word for word in vars(module) if _is_meant(module, word)]
    if not found:
        raise RegistryError(name, f"has no function named {_BEGINNING}completed or the like")
    for word in found:
        yield from _named(name, module, word)


def _named(name: str, module: ModuleType, word: str) -> Iterator[Hook]:
    function = getattr(module, word, None)
    if function is None:
        raise RegistryError(name, f"module {module.__name__} has no {word!r}")
    if not callable(function):
        raise RegistryError(name, f"{word!r} is a {type(function).__name__}, not a function")
    if word.startswith(_BEGINNING) and word != EVERY and word not in FUNCTIONS:
        hint = did_you_mean(word, (*FUNCTIONS, EVERY))
        raise RegistryError(name, f"{word!r} is called for no event; {hint}")
    # What it accepts is checked by whoever asked; nobody wants what it returns.
    call = cast("Function", function)
    yield Hook(f"{module.__name__}.{word}", call, FUNCTIONS.get(word, ""))


def _is_meant(module: ModuleType, word: str) -> bool:
    """Answer whether a function is meant as a hook; one from elsewhere only if it can be one."""
    function = getattr(module, word)
    if not (word.startswith(_BEGINNING) and inspect.isroutine(function)):
        return False
    is_own = getattr(function, "__module__", "") == module.__name__
    return is_own or word in FUNCTIONS or word == EVERY
