"""Parameter sets of H.264: read from an mp4's boxes, merged, and put back."""

import struct

import pytest

from workers.media.cutting.exact import parameter_sets
from workers.media.cutting.exact.parameter_sets import ParameterSets

# Sequence sets of ids 0 and 31, picture sets of ids 0 and 31: ``1`` and ``00000100000`` in bits.
SOURCE = ParameterSets(b"\1\x64\0\x1f\xff", (b"\x67\x64\0\x1f\x80",), (b"\x68\x80",), b"\xfd\xf8")
OURS = ParameterSets(b"\1\x64\0\x1f\xff", (b"\x67\x64\0\x1f\x04\x10",), (b"\x68\x04\x10",), b"")


def box(name: bytes, *contents: bytes) -> bytes:
    content = b"".join(contents)
    return struct.pack(">I4s", 8 + len(content), name) + content


def moov(sets: ParameterSets, header: bytes = bytes(84)) -> bytes:
    entry = box(b"avc1", bytes(78), box(b"avcC", sets.written()), box(b"pasp", bytes(8)))
    table = box(b"stbl", box(b"stsd", bytes(8), entry), box(b"stts", bytes(8)))
    media = box(b"mdia", box(b"mdhd", bytes(24)), box(b"minf", table))
    return box(b"moov", box(b"mvhd", bytes(100)), box(b"trak", box(b"tkhd", header), media))


def test_the_sets_of_a_film_are_found_in_its_boxes() -> None:
    assert parameter_sets.of_film(moov(SOURCE)) == SOURCE


def test_merged_sets_are_put_back_and_every_box_grows_with_them() -> None:
    merged = SOURCE.with_those_of(OURS)

    assert parameter_sets.replaced(moov(SOURCE), merged) == moov(merged)
    assert merged.sequences == SOURCE.sequences + OURS.sequences
    assert merged.rest == SOURCE.rest


def test_the_same_set_twice_is_kept_once() -> None:
    assert SOURCE.with_those_of(SOURCE) == SOURCE


def test_the_ids_in_use_are_read_from_the_bits() -> None:
    assert SOURCE.ids == {0}
    assert SOURCE.with_those_of(OURS).ids == {0, 31}


def test_a_film_of_another_codec_has_no_such_sets() -> None:
    with pytest.raises(ValueError, match="no trak box"):
        parameter_sets.of_film(box(b"moov", box(b"mvhd", bytes(100))))


@pytest.mark.parametrize(("version", "place"), [(0, 40), (1, 52)])
def test_a_picture_is_turned_as_another_is(version: int, place: int) -> None:
    plain = bytes([version]) + bytes(95)
    turned = plain[:place] + bytes(range(36)) + plain[place + 36 :]
    model = moov(OURS, header=bytes(40) + bytes(range(36)) + bytes(8))

    assert parameter_sets.turned_like(moov(SOURCE, plain), model) == moov(SOURCE, turned)


@pytest.mark.parametrize(
    ("kinds", "answer"),
    [((7, 8, 6, 5), True), ((5,), True), ((6, 1), False), ((1, 5), False), ((6,), False)],
)
def test_only_an_idr_picture_begins_anew(kinds: tuple[int, ...], answer: object) -> None:
    sample = b"".join(b"\0\0\0\3" + bytes([0x60 | kind, 1, 2]) for kind in kinds)

    assert parameter_sets.begins_anew(sample) is answer
