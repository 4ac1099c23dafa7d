"""What does not fit, in words for people who may not know Python: a library's, said anew."""

import re

import msgspec

_TYPE = re.compile(r"`([^`]+)`")
KINDS = {  # of JSON's values, by Python's names
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "null": "nothing",
    "array": "a list",
    "object": "an object",
}


def field_and_reason(error: msgspec.ValidationError) -> tuple[str, str]:
    """Split a validation error into the field it names and the reason it gives."""
    reason, _, path = str(error).partition(" - at `$.")
    if path:
        return path.rstrip("`"), _plain(reason)
    if "missing required field" in reason:
        return reason.split("`")[1], "is missing"
    return "body", _plain(reason)


def _plain(reason: str) -> str:
    """Say a library's reason in words for people who may not know Python."""
    said = _TYPE.sub(_kinds_named, reason)
    return said.replace("Expected", "must be").replace(", got", ", is")


def _kinds_named(match: re.Match[str]) -> str:
    kinds = [KINDS.get(kind.strip(), kind.strip()) for kind in match[1].split("|")]
    return " or ".join(kinds)
