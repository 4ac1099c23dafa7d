"""Processors by name: the one dynamic import of the product.

``python -m workers.registry NAME...`` prints one JSON line per name, so that a configuration can
be checked without loading media libraries into the process that asks.
"""

import contextlib
import importlib
import inspect
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TypeVar, cast

import msgspec

from consumers.errors import MalformedError
from consumers.jobs import Job
from workers.expectations import explained
from workers.processor import CheckHost, Handle

Request = TypeVar("Request", bound=msgspec.Struct)


class RegistryError(Exception):
    """A name that leads to no processor; the message says why, in one line."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"{name}: {why}")
        self.name = name
        self.why = why


class UncheckableError(MalformedError):
    """A message that a processor's own check failed on: its user is told that it is our side."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(field, why)
        self.code, self.hint = "failed_check", "correct the processor's Request"


@dataclass(frozen=True, slots=True)
class Processor:
    """What runs the jobs of a pool; if it says so, which it accepts and what it needs."""

    name: str
    handle: Handle
    request: type[msgspec.Struct] | None
    check_host: CheckHost | None = None

    def cast(self, job: Job) -> "tuple[Processor, Job]":
        """Return who does a job and how they see it: this one, as it is."""
        return self, job


class Report(msgspec.Struct, frozen=True):
    """One line of the check: ``error`` is null for a processor that can run."""

    name: str
    error: str | None


def load(name: str) -> Processor:
    """Return the processor of that name.

    Args:
        name: ``package.module`` with a ``handle`` in it, ``package.module:function`` or
            ``package.module.function``. The working directory is searched last.

    Raises:
        RegistryError: when there is none.
    """
    _search_working_directory()
    module, attribute = _resolve(name)
    handle = getattr(module, attribute, None)
    if handle is None:
        raise RegistryError(name, f"module {module.__name__} has no {attribute!r}")
    if not callable(handle):
        raise RegistryError(name, f"{attribute!r} is a {type(handle).__name__}, not a function")
    if not accepts(handle, arguments=2):
        raise RegistryError(name, f"{attribute!r} must accept (job, context)")
    # Checked above as far as a callable can be; its answer is checked when it answers.
    request, check_host = _request(name, module), _check_host(name, module)
    return Processor(name, cast("Handle", handle), request, check_host)


def check(processor: Processor, data: Mapping[str, object]) -> None:
    """Check that a job's data fits what the processor accepts.

    Raises:
        MalformedError: naming the field and what is wrong with it.
    """
    if processor.request is None:
        return
    try:
        read(processor.request, data)
    except MalformedError:
        raise
    # A request type is anybody's code: what it raises must not end the session that brought it.
    except Exception as error:
        why = f"the check of {processor.name} failed on it: {_in_one_line(error)}"
        raise UncheckableError("body", why) from error


def read(request: type[Request], data: Mapping[str, object]) -> Request:
    """Return a job's data as the processor's own type.

    Raises:
        MalformedError: naming the field and what is wrong with it.
    """
    try:
        return msgspec.convert(data, request)
    except msgspec.ValidationError as error:
        raise MalformedError(*explained(request, data, error)) from error


def module_named(name: str) -> ModuleType:
    """Return a module of the user's; the working directory is searched last.

    Raises:
        RegistryError: when there is none.
    """
    _search_working_directory()
    module = _imported(name, name)
    if module is None:
        raise RegistryError(name, f"there is no module {name!r} (looked in sys.path and here)")
    return module


def examine(name: str) -> Report:
    """Return whether a name leads to a processor; what it prints meanwhile goes to stderr."""
    try:
        with contextlib.redirect_stdout(sys.stderr):
            load(name)
    except RegistryError as error:
        return Report(name, error.why)
    return Report(name, None)


def main(names: Sequence[str]) -> int:
    """Print a report for each name; the exit code says whether all are well."""
    reports = [examine(name) for name in names]
    for report in reports:
        sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
    return 1 if any(report.error for report in reports) else 0


def _search_working_directory() -> None:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)


def _resolve(name: str) -> tuple[ModuleType, str]:
    path, colon, attribute = name.partition(":")
    if not all(part.isidentifier() for part in [*path.split("."), attribute or "handle"]):
        raise RegistryError(name, "must be package.module or package.module:function")
    module = _imported(name, path)
    if module is not None:
        return module, attribute or "handle"
    parent, _, last = path.rpartition(".")
    module = _imported(name, parent) if parent and not colon else None
    if module is None:
        raise RegistryError(name, f"there is no module {path!r} (looked in sys.path and here)")
    return module, last


def _imported(name: str, path: str) -> ModuleType | None:
    """Return the module, or None when it is itself what is missing."""
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if path == missing or path.startswith(f"{missing}."):
            return None
        raise RegistryError(name, f"importing it needs {missing!r}, which is missing") from error
    except (Exception, SystemExit) as error:  # foreign code may raise anything; we name it
        raise RegistryError(name, f"importing it raised {_in_one_line(error)}") from error


def _in_one_line(error: BaseException) -> str:
    if isinstance(error, SyntaxError):  # its frames are the importer's
        return _as_syntax_error(error)
    said = traceback.format_exception_only(error)[-1].strip()
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    return " ".join(said.split()) + where


def _as_syntax_error(error: SyntaxError) -> str:
    where = f" ({Path(error.filename).name}, line {error.lineno})" if error.filename else ""
    return f"{type(error).__name__}: {error.msg}{where}"


def accepts(function: object, *, arguments: int) -> bool:
    """Answer whether a function can be called with so many arguments, as far as that is known."""
    try:
        signature = inspect.signature(function)  # type: ignore[arg-type] # callable, checked before
        signature.bind(*[object()] * arguments)
    except TypeError:
        return False
    except ValueError:  # built in, without a signature: it will show
        return True
    return True


def _request(name: str, module: ModuleType) -> type[msgspec.Struct] | None:
    request = getattr(module, "Request", None)
    if request is None:
        return None
    if not (isinstance(request, type) and issubclass(request, msgspec.Struct)):
        raise RegistryError(name, "its Request must be a msgspec.Struct")
    return request


def _check_host(name: str, module: ModuleType) -> CheckHost | None:
    check = getattr(module, "check_host", None)
    if check is None:
        return None
    if not (callable(check) and accepts(check, arguments=1)):
        raise RegistryError(name, "its check_host must be a function that accepts (host)")
    return cast("CheckHost", check)  # as far as a callable can be checked


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
