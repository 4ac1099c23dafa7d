"""``${VAR}`` and ``${VAR:-default}``: values that come from the environment.

References are taken out of the text before YAML sees it and put back into its scalars, so that
they may stand anywhere (``{instances: ${N:-2}}`` is not YAML) and no value can change the
structure of the file. A placeholder is as long as its reference: YAML's columns stay true.
"""

import re
from collections.abc import Mapping
from pathlib import Path

_REFERENCE = re.compile(r"\$\$|\$\{[^}\n]*\}")
_PARTS = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?\}")
_PADDING = "\ue000"  # private-use characters: nobody writes them, YAML accepts them
_FIRST = 0xE001
_LAST = 0xF8FF
_PLACEHOLDER = re.compile(f"([{chr(_FIRST)}-{chr(_LAST)}]){_PADDING}*")
_SPELLING = "write ${NAME}, ${NAME:-default}, or $$ for a dollar sign"


class UnresolvedError(Exception):
    """A reference that has no value; the message says which and what to do."""


def hide(text: str) -> tuple[str, tuple[str, ...]]:
    """Return the text with its references replaced by placeholders, and the references."""
    references: list[str] = []

    def replace(match: re.Match[str]) -> str:
        reference = match.group()
        if reference not in references:
            references.append(reference)
        index = references.index(reference)
        if _FIRST + index > _LAST:  # more different references than there are placeholders
            return reference
        return chr(_FIRST + index) + _PADDING * (len(reference) - 1)

    return _REFERENCE.sub(replace, text), tuple(references)


def reveal(text: str, references: tuple[str, ...], environ: Mapping[str, str]) -> str:
    """Return a scalar with the values of its references.

    Raises:
        UnresolvedError: a variable is not set, its file cannot be read, or it is misspelt.
    """
    revealed = _PLACEHOLDER.sub(
        lambda match: _value(references[ord(match.group(1)) - _FIRST], environ), text
    )
    if "${" in _PLACEHOLDER.sub("", text):
        message = f"has a ${{ without its }}; {_SPELLING}"
        raise UnresolvedError(message)
    return revealed


def has_reference(text: str) -> bool:
    """Answer whether a scalar, as YAML read it, holds a placeholder."""
    return _PLACEHOLDER.search(text) is not None


def variables_in(text: str, references: tuple[str, ...]) -> frozenset[str]:
    """Return the names of the variables a scalar, as YAML read it, refers to."""
    placed = (references[ord(match.group(1)) - _FIRST] for match in _PLACEHOLDER.finditer(text))
    parts = (_PARTS.fullmatch(reference) for reference in placed)
    return frozenset(match.group(1) for match in parts if match is not None)


def _value(reference: str, environ: Mapping[str, str]) -> str:
    if reference == "$$":
        return "$"
    parts = _PARTS.fullmatch(reference)
    if parts is None:
        message = f"cannot read {reference}; {_SPELLING}"
        raise UnresolvedError(message)
    name, default = parts.groups()
    value = _variable(name, environ)
    if default is not None and not value:  # as in a shell: unset or empty
        return default
    if value is None:
        message = (
            f"the variable {name} is not set; set it (or {name}_FILE to a file that holds it), "
            f"or give a default: ${{{name}:-...}}"
        )
        raise UnresolvedError(message)
    return value


def _variable(name: str, environ: Mapping[str, str]) -> str | None:
    if name in environ:
        return environ[name]
    file = environ.get(f"{name}_FILE")
    if not file:
        return None
    try:
        return Path(file).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        message = f"{name}_FILE names {file}, which cannot be read: {why}"
        raise UnresolvedError(message) from error
