"""What a preview job asks for: its fields, their bounds, and what they amount to.

Pure. What a job leaves unsaid, the pool's options say.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec

from consumers.errors import MalformedError
from workers.media.faults import fault

MOST_TILES = 100

Seconds = Annotated[float, msgspec.Meta(ge=0.5, le=10)]
Samples = Annotated[int, msgspec.Meta(ge=1, le=20)]
Height = Annotated[int, msgspec.Meta(ge=16, le=480)]
Kind = Literal["webp", "gif"]


class Grid(msgspec.Struct, frozen=True):
    """A sheet of pictures: tiles across and down, and how wide each is, in pixels."""

    columns: Annotated[int, msgspec.Meta(ge=1, le=MOST_TILES)] = 10
    rows: Annotated[int, msgspec.Meta(ge=1, le=MOST_TILES)] = 10
    width: Annotated[int, msgspec.Meta(ge=16, le=480)] = 160

    def __post_init__(self) -> None:
        """Refuse what nobody could look at; msgspec adds the name of the field."""
        if self.columns * self.rows > MOST_TILES:
            message = f"{self.columns} x {self.rows} tiles are more than {MOST_TILES}"
            raise ValueError(message)


class Defaults(msgspec.Struct, frozen=True):
    """What a pool's options may say of every preview."""

    seconds: Seconds = 7.5
    samples: Samples = 5
    height: Height = 480
    poster: bool = True
    sprite: bool | Grid = False
    animated: bool | Kind = False


class Request(msgspec.Struct, frozen=True, rename="camel"):
    """What a preview job says; None is what it leaves unsaid."""

    file_path: Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]
    seconds: Seconds | None = None
    samples: Samples | None = None
    height: Height | None = None
    poster: bool | None = None
    sprite: bool | Grid | None = None
    animated: bool | Kind | None = None

    def __post_init__(self) -> None:
        """Refuse what no file system knows."""
        if "\0" in self.file_path:
            raise MalformedError("filePath", "must not contain a NUL character")


@dataclass(frozen=True, slots=True)
class Wish:
    """What a job amounts to; None is what is not to be made."""

    seconds: float
    samples: int
    height: int
    poster: bool
    sprite: Grid | None
    animated: Kind | None


def of_pool(options: Mapping[str, object]) -> Defaults:
    """Return what a pool's options say of every preview, checked.

    Raises:
        HostError: ``bad_options``.
    """
    try:
        return msgspec.convert(options, Defaults)
    except msgspec.ValidationError as error:
        raise fault("bad_options", f"options: {error}") from error


def resolve(request: Request, defaults: Defaults) -> Wish:
    """Return what a job amounts to; its own words win."""
    sprite = defaults.sprite if request.sprite is None else request.sprite
    animated = defaults.animated if request.animated is None else request.animated
    return Wish(
        seconds=request.seconds or defaults.seconds,
        samples=request.samples or defaults.samples,
        height=request.height or defaults.height,
        poster=defaults.poster if request.poster is None else request.poster,
        sprite=(Grid() if sprite else None) if isinstance(sprite, bool) else sprite,
        animated=("webp" if animated else None) if isinstance(animated, bool) else animated,
    )
