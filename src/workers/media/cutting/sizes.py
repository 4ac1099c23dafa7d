"""How many bytes a second encoded pieces will have, and so how long those of a size may be.

Pure. An encoder is told a rate that cannot exceed the size; the better it is met, the fuller the
pieces are. A picture is made worse before pieces get very short, but not beyond recognition.
"""

import math

from workers.media.faults import fault
from workers.media.files.film import Film, Load

COMFORT = 2.0  # seconds that pieces have, if need be at a worse picture
LEAST = 1.0  # seconds; pieces that would be shorter are refused
SQUEEZE = 4  # times fewer bytes than it is likely to want a picture has at worst
AHEAD = 2.0  # seconds that rate control may be ahead of its rate
PART = 4  # it is ahead by no more than this part of a piece
RATED = 0.92  # of a size, that an encoder is told to fill
SLOWEST = 50_000.0  # bits a second that a picture gets at least
SPARE = 1.2  # times what came out of one encoding, for another with fewer pieces
ROUND = 10_000  # bytes, to which an advice is rounded


def load(film: Film, weight: float, budget: float, *, is_rated: bool) -> Load:
    """Return the bytes of a film over its time as it will be encoded, spread evenly.

    Args:
        film: what there is.
        weight: how many times the bytes of its picture the encoded one is likely to have.
        budget: the bytes of a piece.
        is_rated: the encoder can be told to take fewer.

    Raises:
        RefusedError: ``bad_option`` when pieces would be shorter than a second.
    """
    if math.isinf(budget) or not film.has_picture or film.duration <= 0:
        return Load.even(film.duration, film.load.total)
    sound = film.sound / film.duration
    picture = (film.load.total - film.sound) * weight / film.duration
    least = SLOWEST / 8 if is_rated else picture
    picture = max(picture, least)
    fewest = sound + max(picture / SQUEEZE, least)
    rate = max(fewest, min(sound + picture, budget / COMFORT))
    if budget < rate * min(LEAST, film.duration):
        raise fault("bad_option", f"maxSize: {_advice(fewest, is_rated=is_rated)}")
    return Load.even(film.duration, rate * film.duration)


def scaled(heft: float) -> float:
    """Return how many times its bytes a picture has that is shown in so many times its pixels.

    A smaller picture has more to show in each of its pixels.
    """
    return math.pow(heft, 0.75)


def ahead(longest: float) -> float:
    """Return the seconds that rate control may be ahead in pieces of a length."""
    return min(AHEAD, longest / PART)


def rate(film: Film, size: float, longest: float) -> float:
    """Return the bits a second that the picture may take so that pieces keep a size."""
    sound = film.sound * 8 / film.duration if film.duration else 0.0
    return max(SLOWEST, size * RATED * 8 / (longest + ahead(longest)) - sound)


def weight_of(film: Film, made: float, played: float) -> float:
    """Return how many times its source's bytes an encoded picture has, with something to spare."""
    sound = film.sound / film.duration
    picture = (film.load.total - film.sound) / film.duration
    return SPARE * max(0.01, made / played - sound) / picture if picture > 0 else 1.0


def _advice(fewest: float, *, is_rated: bool) -> str:
    least = math.ceil((fewest * LEAST * 1.1 + 5000) / ROUND) * ROUND
    other = "fewer lines (height)" if is_rated else "mode auto, which may encode"
    says = "pieces of this film would be shorter than a second"
    return f"{says}; ask for at least {least // 1000} kB, or {other}"
