"""A number written into a picture so that it survives encoding, scaling and cropping to a tile.

The picture is a grid of 10 by 6 fields. Every binary digit takes two fields, itself and its
opposite, so that a reader compares neighbours and needs no notion of black. The digits are a Gray
code: one pair changes from a number to the next, so that no step looks like a change of scene.
A light field wanders along the bottom, so that there is something to predict and to get wrong.
"""

from collections.abc import Sequence

COLUMNS, ROWS = 10, 6
FIELDS = COLUMNS * ROWS
DIGITS = 12
MOST = 1 << DIGITS
FIRST = COLUMNS  # the top row is background
CONTRAST = 40  # of 255: less than that between two opposites, and there is no digit

Colour = tuple[int, int, int]

BLACK: Colour = (0, 0, 0)
WHITE: Colour = (255, 255, 255)
LIGHT: Colour = (230, 220, 150)


def drawn(number: int, background: Colour) -> bytes:
    """Return the picture of a number, one RGB pixel for each field."""
    if not 0 <= number < MOST:
        message = f"frame number {number}: must be below {MOST}, write fewer frames"
        raise ValueError(message)
    code = number ^ (number >> 1)
    fields = [background] * FIELDS
    fields[FIELDS - COLUMNS + number % COLUMNS] = LIGHT
    for digit in range(DIGITS):
        is_set = bool(code >> digit & 1)
        fields[FIRST + 2 * digit] = WHITE if is_set else BLACK
        fields[FIRST + 2 * digit + 1] = BLACK if is_set else WHITE
    return b"".join(bytes(field) for field in fields)


def plain(colour: Colour) -> bytes:
    """Return a picture without a number."""
    return bytes(colour) * FIELDS


def recognised(fields: Sequence[int]) -> int | None:
    """Return the number in a picture of one grey pixel for each field; None when none is there."""
    code = 0
    for digit in range(DIGITS):
        itself, opposite = fields[FIRST + 2 * digit], fields[FIRST + 2 * digit + 1]
        if abs(itself - opposite) < CONTRAST:
            return None
        code |= (itself > opposite) << digit
    return _counted(code)


def _counted(code: int) -> int:
    """Return the number that a Gray code stands for."""
    number = code
    while code := code >> 1:
        number ^= code
    return number
