"""The YAML file as a tree in which every value knows its line. The only file that knows PyYAML."""

import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import yaml

from supervisor.config.interpolation import (
    UnresolvedError,
    has_reference,
    hide,
    reveal,
    variables_in,
)
from supervisor.config.mistakes import Findings

_MERGE = "tag:yaml.org,2002:merge"
_PLAIN_TAGS = "tag:yaml.org,2002:"
_KNOWN_TAGS = frozenset(
    _PLAIN_TAGS + kind
    for kind in ["map", "seq", "str", "int", "float", "bool", "null", "timestamp", "merge", "value"]
)
_NOT_TEXT = {"int": "a number", "float": "a number", "bool": "true or false", "null": "empty"}


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value. ``kind`` is YAML's idea of it: str int float bool null timestamp.

    ``variables`` are the names of those in the environment that it was made of.
    """

    text: str
    kind: str
    line: int
    variables: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Listing:
    """Values in a row."""

    items: tuple["Node", ...]
    line: int


@dataclass(frozen=True, slots=True)
class Table:
    """Keys and their values."""

    entries: Mapping[str, "Entry"]
    line: int


@dataclass(frozen=True, slots=True)
class Broken:
    """A value that is reported already: whoever meets it says nothing more."""

    line: int


Node = Scalar | Listing | Table | Broken


@dataclass(frozen=True, slots=True)
class Entry:
    """A value under a key; ``line`` is the key's."""

    line: int
    node: Node


def parse(text: str, environ: Mapping[str, str], findings: Findings) -> Node | None:
    """Return the tree of a YAML text, ``None`` if there is none to return.

    Mistakes of spelling (bad YAML, duplicate keys, variables without a value) go to ``findings``.
    """
    hidden, references = hide(text)
    try:
        root = yaml.compose(hidden, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        findings.add(*_complaint(error, text))
        return None
    if root is None:
        return None
    return _Tree(references, environ, findings).node(root, "")


def lines(node: Node, above: str = "") -> Iterator[tuple[str, int]]:
    """Yield every key of a tree (``workers.cutter.queue``) with its line."""
    match node:
        case Table(entries):
            for name, entry in entries.items():
                key = f"{above}.{name}" if above else name
                yield key, entry.line
                yield from lines(entry.node, key)
        case Listing(items):
            for index, item in enumerate(items):
                yield f"{above}[{index}]", item.line
                yield from lines(item, f"{above}[{index}]")
        case _:
            pass


def nearest(key: str, where: Mapping[str, int]) -> int:
    """Return the line of a key, or of the nearest thing above it that is there; else 0."""
    while key and key not in where:
        key = key[: max(key.rfind("."), key.rfind("["), 0)]
    return where.get(key, 0)


def write(data: Mapping[str, object]) -> str:
    """Return plain data as YAML text, keys in their order."""
    out = io.StringIO()
    yaml.safe_dump(data, out, sort_keys=False, allow_unicode=True, width=100)
    return out.getvalue()


def plain(node: Node) -> object:
    """Return a tree as plain data: numbers, flags, text, lists and dicts, as YAML types them."""
    match node:
        case Table(entries):
            return {key: plain(entry.node) for key, entry in entries.items()}
        case Listing(items):
            return [plain(item) for item in items]
        case Scalar(text, kind):
            tag = f"{_PLAIN_TAGS}{kind}"
            constructor = yaml.constructor.SafeConstructor()
            return constructor.construct_object(yaml.ScalarNode(tag, text))
        case Broken():
            return None


def scalars(node: Node, name: str = "") -> Iterator[tuple[str, Scalar]]:
    """Yield every value of a tree with the last word of its key."""
    match node:
        case Scalar():
            yield name, node
        case Table(entries):
            for word, entry in entries.items():
                yield from scalars(entry.node, word)
        case Listing(items):
            for item in items:
                yield from scalars(item, name)
        case Broken():
            pass


def kind_of(node: Node) -> str:
    """Return what a value is, in words that follow ``is``."""
    match node:
        case Table():
            return "a mapping (key: value)"
        case Listing():
            return "a list"
        case Scalar(text, kind):
            # An address can hold secrets anywhere, and this is said in an error.
            return _NOT_TEXT.get(kind, "an address" if "://" in text else f"'{text}'")
        case Broken():
            return "broken"


class _Tree:
    """The walk from PyYAML's nodes to ours."""

    def __init__(
        self, references: tuple[str, ...], environ: Mapping[str, str], findings: Findings
    ) -> None:
        self._references = references
        self._environ = environ
        self._findings = findings
        self._above: list[yaml.Node] = []

    def node(self, raw: yaml.Node, key: str) -> Node:
        line = raw.start_mark.line + 1
        if any(raw is above for above in self._above):
            return self._broken(line, key, "contains itself; an alias (*name) must not do that")
        if raw.tag not in _KNOWN_TAGS:
            return self._broken(line, key, f"has the tag {raw.tag}; tags are not used here")
        if isinstance(raw, yaml.ScalarNode):
            return self._scalar(raw, key)
        self._above.append(raw)
        try:
            if isinstance(raw, yaml.MappingNode):
                return Table(self._entries(raw, key), line)
            items = (self.node(item, f"{key}[{i}]") for i, item in enumerate(raw.value))
            return Listing(tuple(items), line)
        finally:
            self._above.pop()

    def _scalar(self, raw: yaml.ScalarNode, key: str) -> Node:
        line = raw.start_mark.line + 1
        kind = raw.tag.removeprefix(_PLAIN_TAGS)
        text = raw.value
        if has_reference(text) or "${" in text:
            try:
                text = reveal(text, self._references, self._environ)
            except UnresolvedError as error:
                return self._broken(line, key, str(error))
            if raw.style is None:  # unquoted: 2 from the environment is a number, as in the file
                kind = _implicit_kind(text)
        scalar = Scalar(text, kind, line, variables_in(raw.value, self._references))
        try:
            plain(scalar)
        except (ValueError, KeyError, yaml.YAMLError):  # 2026-13-45, or !!int on a word
            return self._broken(line, key, f"looks like a {kind} and is none; put it in quotes")
        return scalar

    def _entries(self, raw: yaml.MappingNode, key: str) -> dict[str, Entry]:
        entries: dict[str, Entry] = {}
        merged: dict[str, Entry] = {}
        for name, value in raw.value:
            if name.tag == _MERGE:
                merged |= self._merged(value, key)
                continue
            self._enter(entries, name, value, key)
        return merged | entries

    def _enter(
        self, entries: dict[str, Entry], name: yaml.Node, value: yaml.Node, above: str
    ) -> None:
        line = name.start_mark.line + 1
        if not isinstance(name, yaml.ScalarNode):
            self._findings.add(line, above, "has a key that is not a word")
            return
        node = self._scalar(name, above)
        word = node.text if isinstance(node, Scalar) else name.value
        key = f"{above}.{word}" if above else word
        if word in entries:
            first = entries[word].line
            what = f"is given twice, first on line {first}; keep one of them"
            self._findings.add(line, key, what)
            return
        entries[word] = Entry(line, self.node(value, key))

    def _merged(self, value: yaml.Node, key: str) -> Mapping[str, Entry]:
        """Return the entries of ``<<: *name``."""
        match self.node(value, key):
            case Table(entries):
                return entries
            case Broken():
                return {}
            case _:
                line = value.start_mark.line + 1
                self._findings.add(line, key, "<< must be followed by an alias of a mapping")
                return {}

    def _broken(self, line: int, key: str, what: str) -> Broken:
        self._findings.add(line, key, what)
        return Broken(line)


def _implicit_kind(text: str) -> str:
    resolver = yaml.resolver.Resolver()
    tag = resolver.resolve(  # type: ignore[no-untyped-call]  # the stubs leave it untyped
        yaml.ScalarNode, text, (True, False)
    )
    return str(tag).removeprefix(_PLAIN_TAGS)


def _complaint(error: yaml.YAMLError, text: str) -> tuple[int, str, str]:
    """Return line, key and explanation of what PyYAML stumbled over."""
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        position = getattr(error, "position", 0)
        line = text.count("\n", 0, position) + 1
        return line, "", "is not YAML: it holds a character that text never has"
    mark = error.problem_mark
    line, column = mark.line + 1, mark.column + 1
    if "'\\t'" in (error.problem or ""):
        what = f"column {column}: a tab indents this line; YAML wants spaces"
        return line, "", what
    reason = re.sub(r"[\ue000-\uf8ff]+", "${...}", error.problem or "it cannot be read")
    where = f", {error.context}" if error.context else ""
    return line, "", f"column {column}: is not YAML: {reason}{where}"
