"""Which processor a job is for: the one its ``type`` names, or the pool's only one.

A body ``{"type": "email:send", "payload": {...}, "userId": ...}`` is an envelope: the processor of
that type is given the payload as the job's data, and its ``Request`` is checked against it. A body
without an object under ``payload`` is given as it is.
"""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from consumers.errors import MalformedError
from consumers.jobs import TYPE, Envelope, Job
from workers import registry
from workers.processor import CheckHost, Host
from workers.registry import Processor, UncheckableError
from workers.spec import WorkerSpec

PAYLOAD = "payload"
_MOST_SHOWN = 20  # types that a refusal names


class UnknownTypeError(MalformedError):
    """A body whose type no processor of the pool is for."""

    def __init__(self, why: str) -> None:
        super().__init__(TYPE, why)
        self.code, self.hint = "unknown_type", "correct the type, or add it to types: of the pool"


@dataclass(frozen=True, slots=True)
class Repertoire:
    """The processors of a pool by the types of their jobs; ``default`` is for all other bodies."""

    by_type: Mapping[str, Processor]
    default: Processor | None = None

    def cast(self, job: Job) -> tuple[Processor, Job]:
        """Return who does a job, and the job as they see it. Raises UnknownTypeError."""
        processor, payload = self._chosen(job.type, job.data)
        if processor is self.default:
            return processor, job
        return processor, msgspec.structs.replace(job, data=payload)

    def check(self, envelope: Envelope) -> None:
        """Check that a message names a type there is and fits what its processor accepts.

        Raises:
            MalformedError: naming the field as it stands in the body.
        """
        processor, payload = self._chosen(envelope.type, envelope.data)
        try:
            registry.check(processor, payload)
        except MalformedError as error:
            if payload is envelope.data:
                raise
            why = error.message.removeprefix(f"{error.field}: ")
            field = PAYLOAD if error.field == "body" else f"{PAYLOAD}.{error.field}"
            named = MalformedError(field, why)
            if isinstance(error, UncheckableError):
                named.code, named.hint = error.code, error.hint
            raise named from error

    @property
    def check_host(self) -> CheckHost | None:
        """Return one check of the machine for all: what one of them lacks, holds the worker."""
        all_of_them = [*self.by_type.values(), *([self.default] if self.default else [])]
        checks = dict.fromkeys(each.check_host for each in all_of_them if each.check_host)
        if len(checks) < 2:
            return next(iter(checks), None)
        return _Checks(tuple(checks)).check_host

    def _chosen(
        self, name: str, data: Mapping[str, object]
    ) -> tuple[Processor, Mapping[str, object]]:
        if name in self.by_type:
            payload = data.get(PAYLOAD)
            return self.by_type[name], payload if isinstance(payload, dict) else data
        if self.default is not None and (not name or not self.by_type):
            return self.default, data
        raise UnknownTypeError(self._refusal(name, data))

    def _refusal(self, name: str, data: Mapping[str, object]) -> str:
        known = sorted(self.by_type)
        shown = ", ".join(known[:_MOST_SHOWN]) + (", ..." if len(known) > _MOST_SHOWN else "")
        if name:
            return f"is {name!r:.80}, which this pool does not know; it knows: {shown}"
        said = "must be text" if data.get(TYPE) is not None else "is missing"
        return f"{said}; this pool knows: {shown}"


@dataclass(frozen=True, slots=True)
class _Checks:
    """The checks of several processors, made one after another."""

    checks: Sequence[CheckHost]

    async def check_host(self, host: Host) -> None:
        """Raise what the first of them finds that finds anything."""
        for check in self.checks:
            answer = check(host)
            if inspect.isawaitable(answer):
                await answer


def load(spec: WorkerSpec) -> Repertoire:
    """Return the processors of a worker's pool. Raises RegistryError when one cannot be had."""
    default = registry.load(spec.processor) if spec.processor else None
    return Repertoire({name: registry.load(path) for name, path in spec.types.items()}, default)
