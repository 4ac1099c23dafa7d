"""The parameter sets of H.264 in an mp4: read, merged, and put back; and how its picture is turned.

Pure, on bytes. Frames of two encoders in one track need both encoders' sets in its one ``avcC``,
under different ids; what is encoded at the seams therefore takes the ids from ``LAST`` downwards.
The boxes are those of ISO/IEC 14496-12, the ``avcC`` that of 14496-15, section 5.3.3.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

LAST = 31  # the largest id a sequence parameter set may have: nobody else begins there
PATH = (b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"avc1", b"avcC")
_TURN = (b"trak", b"tkhd")
# Bytes of a box before the boxes in it.
_AHEAD = {b"stsd": 8, b"avc1": 78}
_EXTENDED = frozenset({100, 110, 122, 144, 244})  # profiles whose avcC goes on after the sets
_SLICE, _IDR = 1, 5


@dataclass(frozen=True, slots=True)
class ParameterSets:
    """An ``avcC`` taken apart: profile and the like, the two kinds of sets, and the rest."""

    head: bytes
    sequences: tuple[bytes, ...]
    pictures: tuple[bytes, ...]
    rest: bytes

    def with_those_of(self, other: "ParameterSets") -> "ParameterSets":
        """Return the sets of both; everything else stays as it is here."""
        sequences = tuple(dict.fromkeys(self.sequences + other.sequences))
        pictures = tuple(dict.fromkeys(self.pictures + other.pictures))
        return ParameterSets(self.head, sequences, pictures, self.rest)

    def written(self) -> bytes:
        """Return the ``avcC`` again."""
        parts = [self.head, bytes([0xE0 | len(self.sequences)]), *map(_sized, self.sequences)]
        parts += [bytes([len(self.pictures)]), *map(_sized, self.pictures), self.rest]
        return b"".join(parts)

    @property
    def ids(self) -> frozenset[int]:
        """The ids in use, of both kinds."""
        sequences = {_exponential(one[4:]) for one in self.sequences}
        return frozenset(sequences | {_exponential(one[1:]) for one in self.pictures})


def of_film(moov: bytes) -> ParameterSets:
    """Return the parameter sets of an mp4's only track, from its ``moov`` box.

    Raises:
        ValueError: it is not H.264 as ``avc1``.
    """
    return _taken_apart(_descend(moov, PATH))


def replaced(moov: bytes, sets: ParameterSets) -> bytes:
    """Return the ``moov`` box with other parameter sets in its ``avcC``."""
    return _box(b"moov", _within(moov[8:], PATH, sets.written()))


def turned_like(moov: bytes, model: bytes) -> bytes:
    """Return the ``moov`` box with the display matrix of another's only track."""
    header = _descend(moov, _TURN)
    place = _matrix(header)
    matrix = _descend(model, _TURN)[_matrix(_descend(model, _TURN)) :][:36]
    return _box(b"moov", _within(moov[8:], _TURN, header[:place] + matrix + header[place + 36 :]))


def begins_anew(sample: bytes) -> bool:
    """Say whether a picture is an IDR: nothing after it refers to anything before it."""
    place = 0
    while place + 4 < len(sample):
        kind = sample[place + 4] & 0x1F
        if _SLICE <= kind <= _IDR:
            return kind == _IDR
        place += 4 + int.from_bytes(sample[place : place + 4])
    return False


def _descend(moov: bytes, path: tuple[bytes, ...]) -> bytes:
    content = moov[8:]
    for name in path:
        found = dict(_boxes(content)).get(name)
        if found is None:
            message = f"no {name.decode()} box"
            raise ValueError(message)
        content = found[_AHEAD.get(name, 0) :]
    return content


def _matrix(header: bytes) -> int:
    """Return the place of the matrix in a ``tkhd``, whose times are longer in version 1."""
    return 52 if header[0] == 1 else 40


def _within(content: bytes, path: tuple[bytes, ...], leaf: bytes) -> bytes:
    if not path:
        return leaf
    made = b""
    for name, inner in _boxes(content):
        if name == path[0]:
            ahead = _AHEAD.get(name, 0)
            inner = inner[:ahead] + _within(inner[ahead:], path[1:], leaf)  # noqa: PLW2901
        made += _box(name, inner)
    return made


def _boxes(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = 0
    while place + 8 <= len(content):
        size, name = struct.unpack_from(">I4s", content, place)
        if size < 8:
            return
        yield name, content[place + 8 : place + size]
        place += size


def _box(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), name) + content


def _taken_apart(content: bytes) -> ParameterSets:
    sequences, place = _sets(content, 6, content[5] & 0x1F)
    pictures, place = _sets(content, place + 1, content[place])
    rest = content[place:] if content[1] in _EXTENDED else b""
    return ParameterSets(content[:5], sequences, pictures, rest)


def _sets(content: bytes, place: int, count: int) -> tuple[tuple[bytes, ...], int]:
    found = []
    for _ in range(count):
        size = int.from_bytes(content[place : place + 2])
        found.append(content[place + 2 : place + 2 + size])
        place += 2 + size
    return tuple(found), place


def _sized(one: bytes) -> bytes:
    return len(one).to_bytes(2) + one


def _exponential(data: bytes) -> int:
    """Return the first number of a bit stream in Exp-Golomb code (ITU-T H.264, 9.1)."""
    bits = "".join(f"{byte:08b}" for byte in data[:8])
    zeros = len(bits) - len(bits.lstrip("0"))
    return int(bits[zeros : 2 * zeros + 1] or "0", 2) - 1
