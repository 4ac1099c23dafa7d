"""What the places want where pieces are sent: limits under a name.

Pure. The limits of such places change, so a pool's ``options`` may add presets and replace these.
"""

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec

from workers.media.amounts import Size

Mode = Literal["auto", "exact", "copy"]
Height = Annotated[int, msgspec.Meta(ge=16, le=8192)]
SegmentTime = Annotated[float, msgspec.Meta(gt=0, le=86400)]


class Preset(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Limits for pieces; what is None is not limited here."""

    segment_time: SegmentTime | None = None  # seconds
    max_size: Size | None = None
    mode: Mode | None = None
    height: Height | None = None  # lines of the picture; taller ones are scaled down


DEFAULTS: Mapping[str, Preset] = {
    "whatsapp": Preset(segment_time=60, max_size=Size(16_000_000)),
    "story": Preset(segment_time=60),
    "reels": Preset(segment_time=90),
    "x": Preset(segment_time=140, max_size=Size(512_000_000)),
}
