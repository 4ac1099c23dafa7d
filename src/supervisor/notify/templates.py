"""The texts of notices: two languages, and a YAML file of the operator's that overrides some.

Everything is checked here, at load, so that filling a text in later cannot fail: keys are known,
placeholders are plain names that this kind of text offers. What users wrote is only ever a value
that is filled in; braces in it mean nothing.
"""

import string
from collections.abc import Collection, Mapping
from pathlib import Path

import msgspec

from supervisor.core.notices import PLACEHOLDERS, Texts
from supervisor.notify import english, portuguese

LANGUAGES: Mapping[str, Texts] = {"en": english.TEXTS, "pt-BR": portuguese.TEXTS}

POOL_KINDS = ("completed", "failed")  # texts that a pool may have of its own
TRADES = {f"workers.{trade}": trade for trade in ("download", "cutter", "preview")}
_NO_POOLS: Mapping[str, str] = {}


class TemplateError(ValueError):
    """Texts that cannot be used; ``mistakes`` has one sentence each, naming file and key."""

    def __init__(self, mistakes: Collection[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = tuple(mistakes)


def load_texts(
    language: str, overrides: Path | None = None, *, pools: Mapping[str, str] = _NO_POOLS
) -> Texts:
    """Return the texts of a language, those in the file ``overrides`` replaced.

    Args:
        language: ``en`` or ``pt-BR``.
        overrides: a YAML mapping from a text's key to the text.
        pools: the configured pools with their processors. ``completed.POOL`` and ``failed.POOL``
            are their own texts; what is not said there follows from the processor.

    Raises:
        TemplateError: with every mistake that was found.
    """
    if language not in LANGUAGES:
        known = ", ".join(LANGUAGES)
        raise TemplateError([f"notify.language: must be one of {known}, is {language!r}"])
    texts = LANGUAGES[language]
    own = {} if overrides is None else _read(overrides)
    known_keys = texts.keys() | {f"{kind}.{pool}" for kind in POOL_KINDS for pool in pools}
    mistakes = [
        f"{overrides}: {key}: {why}"
        for key, text in own.items()
        for why in _faults(key, text, known_keys)
    ]
    if mistakes:
        raise TemplateError(mistakes)
    said = {str(key): str(text) for key, text in own.items()}
    return {**texts, **said, **_by_trade({**texts, **said}, pools, said)}


def _by_trade(texts: Texts, pools: Mapping[str, str], own: Texts) -> Texts:
    """Return the texts of pools that run a processor of ours under a name of their own."""
    return {
        f"{kind}.{pool}": texts[f"{kind}.{trade}"]
        for pool, processor in pools.items()
        for kind in POOL_KINDS
        if (trade := TRADES.get(processor)) and f"{kind}.{pool}" not in own
    }


def _read(path: Path) -> Mapping[object, object]:
    try:
        content = msgspec.yaml.decode(path.read_bytes())
    except OSError as error:
        raise TemplateError([f"{path}: cannot be read: {error.strerror}"]) from error
    except msgspec.DecodeError as error:
        raise TemplateError([f"{path}: is not YAML: {error}"]) from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise TemplateError([f"{path}: must be a mapping from a text's key to the text"])
    return content


def _faults(key: object, text: object, known: Collection[str]) -> list[str]:
    if not isinstance(key, str) or key not in known:
        return [f"is not a text there is; there are {', '.join(sorted(known))}"]
    if not isinstance(text, str) or not text.strip():
        return [f"must be a text, is {text!r}"]
    return _placeholder_faults(text, PLACEHOLDERS[key.partition(".")[0]])


def _placeholder_faults(text: str, allowed: frozenset[str]) -> list[str]:
    try:
        fields = [field for field in string.Formatter().parse(text) if field[1] is not None]
    except ValueError as error:
        return [f"has unmatched braces ({error}); write {{{{ and }}}} for braces themselves"]
    offer = ", ".join(f"{{{name}}}" for name in sorted(allowed))
    return [
        f"{{{name}}} is not known here; this text may use {offer}, without any format"
        for _, name, spec, conversion in fields
        if name not in allowed or spec or conversion
    ]
