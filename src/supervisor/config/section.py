"""One mapping of the file while it is read: key by key, noting mistakes, then what nobody knows."""

from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

from supervisor.config.document import (
    Broken,
    Listing,
    Node,
    Scalar,
    Table,
    kind_of,
    lines,
    nearest,
    plain,
)
from supervisor.config.mistakes import Findings, did_you_mean

T = TypeVar("T")


class Section:
    """A mapping under ``key``. Ask for every key there may be, then call ``finish``."""

    def __init__(self, table: Table, key: str, findings: Findings) -> None:
        self.key = key
        self._table = table
        self._findings = findings
        self._asked: list[str] = []

    def value(self, name: str, read: Callable[[str], T], default: T) -> T:
        """Return a single value, or the default: when absent, or wrong (and then noted)."""
        node = self._node(name)
        if isinstance(node, Scalar) and node.kind != "null":
            return self._read(name, node, read, default)
        if isinstance(node, Scalar) and default is not None:
            self.wrong(name, "has no value; give one, or remove the line for the default")
        if isinstance(node, Table | Listing):
            self.wrong(name, f"must be a single value, is {kind_of(node)}")
        return default

    def required(self, name: str, read: Callable[[str], T], stand_in: T, *, why: str) -> T:
        """Return a value that must be there; ``why`` says what it is for when it is not."""
        if name not in self._table.entries:
            self._asked.append(name)
            self._findings.add(self._table.line, self._path(name), f"is missing; {why}")
            return stand_in
        return self.value(name, read, stand_in)

    def values(self, name: str, read: Callable[[str], T]) -> tuple[T, ...]:
        """Return a list of single values; empty when absent."""
        match self._node(name):
            case Listing(items):
                return tuple(self._items(name, items, read))
            case None | Broken():
                return ()
            case node:
                self.wrong(name, f"must be a list, is {kind_of(node)}")
                return ()

    def section(self, name: str) -> "Section":
        """Return the mapping under a key; an empty one when it is absent or wrong."""
        node = self._node(name)
        match node:
            case Table():
                return Section(node, self._path(name), self._findings)
            case None | Broken() | Scalar(kind="null"):
                pass
            case _:
                self.wrong(name, f"must be a mapping (key: value), is {kind_of(node)}")
        return Section(Table({}, self.line(name)), self._path(name), self._findings)

    def free(self, name: str) -> Mapping[str, object]:
        """Return a mapping whose keys are somebody else's business, as plain data."""
        return self.section(name).plain()

    def plain(self) -> Mapping[str, object]:
        """Return everything here as plain data."""
        return {key: plain(entry.node) for key, entry in self._table.entries.items()}

    def node(self, name: str) -> Node | None:
        """Return the tree under a key that has more than one shape."""
        return self._node(name)

    def names(self) -> tuple[str, ...]:
        """Return the keys there are, for mappings whose keys are names."""
        return tuple(self._table.entries)

    def line(self, name: str) -> int:
        """Return the line of a key, or that of the mapping."""
        entry = self._table.entries.get(name)
        return entry.line if entry else self._table.line

    def wrong(self, name: str, what: str) -> None:
        """Note that a key is wrong."""
        self._findings.add(self.line(name), self._path(name), what)

    def wrong_inside(self, name: str, place: str, what: str) -> None:
        """Note that something is wrong at a place below a key, as long as nothing above it is."""
        key, node = self._path(place), self._node(name)
        where = {} if node is None else dict(lines(node, self._path(name)))
        if not self._findings.concern(key):
            self._findings.add(nearest(key, where) or self.line(name), key, what)

    def is_reported(self, name: str) -> bool:
        """Answer whether a key is known to be wrong."""
        return self._findings.concern(self._path(name))

    def finish(self) -> None:
        """Note every key that nobody asked for."""
        for name in self._table.entries:
            if name not in self._asked and not (name.startswith("x-") and not self.key):
                self.wrong(name, f"is not a key here; {did_you_mean(name, self._asked)}")

    def _node(self, name: str) -> Node | None:
        self._asked.append(name)
        entry = self._table.entries.get(name)
        return entry.node if entry else None

    def _read(self, name: str, node: Scalar, read: Callable[[str], T], default: T) -> T:
        try:
            return read(node.text)
        except ValueError as error:
            self._findings.add(self.line(name), self._path(name), str(error))
            return default

    def _items(self, name: str, items: tuple[Node, ...], read: Callable[[str], T]) -> Iterator[T]:
        for index, item in enumerate(items):
            key = f"{self._path(name)}[{index}]"
            match item:
                case Scalar(text):
                    try:
                        yield read(text)
                    except ValueError as error:
                        self._findings.add(item.line, key, str(error))
                case Broken():
                    pass
                case _:
                    what = f"must be a single value, is {kind_of(item)}"
                    self._findings.add(item.line, key, what)

    def _path(self, name: str) -> str:
        return f"{self.key}.{name}" if self.key else name
