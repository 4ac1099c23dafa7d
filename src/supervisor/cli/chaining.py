"""What is to follow a job, as it is typed: pools one after the other, or steps as JSON."""

from collections.abc import Mapping, Sequence

import click
import msgspec

from consumers.chains import THEN, steps_of
from consumers.errors import MalformedError


def following_of(typed: Sequence[str]) -> object:
    """Return what an order says follows it; None when nothing was typed. Raises UsageError."""
    if not typed:
        return None
    following: object = None
    for text in reversed(typed):
        said = _said(text)
        if following is not None:
            said = _before(said, following)
        following = said if isinstance(said, list) else [said]
    try:
        steps_of({THEN: following})
    except MalformedError as error:
        message = f"--then: {error.message}{_several(typed)}"
        raise click.UsageError(message) from error
    return following


def _several(typed: Sequence[str]) -> str:
    """Return how several steps are typed, for whoever typed them as one."""
    is_one = any("," in text and not _is_json(text) for text in typed)
    return "; give --then once for each step" if is_one else ""


def followed(data: Mapping[str, object], typed: Sequence[str]) -> Mapping[str, object]:
    """Return the data of a job with what is to follow it. Raises UsageError."""
    following = following_of(typed)
    if following is None:
        return data
    if data.get(THEN) is not None:
        message = "--then: the data says it too; say it once"
        raise click.UsageError(message)
    return {**data, THEN: following}


def _said(text: str) -> object:
    """Return a step: the name of a pool, or what is JSON."""
    if not _is_json(text):
        return text
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        message = f'--then: is not JSON: {error}; write it like --then \'{{"pool": "preview"}}\''
        raise click.UsageError(message) from error


def _is_json(text: str) -> bool:
    return text.lstrip().startswith(("{", "[", '"'))


def _before(said: object, following: object) -> object:
    """Return a step with what follows it."""
    step = {"pool": said} if isinstance(said, str) else said
    if not isinstance(step, dict) or THEN in step:
        why = "a list, or a step that says what follows it, is the last one; say all of it there"
        message = f"--then: {why}"
        raise click.UsageError(message)
    return {**step, THEN: following}
