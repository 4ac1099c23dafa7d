"""How a film was encoded, and whether x264 can make frames that fit between its own.

Pure. Frames that fit have the same profile, size, pixel format and colours; what x264 cannot make
alike (another codec, interlaced or exotic film) is not sewn but encoded as a whole.
"""

from collections.abc import Mapping
from fractions import Fraction

import msgspec

_PROFILES: Mapping[str, str] = {
    "Constrained Baseline": "baseline",
    "Baseline": "baseline",
    "Main": "main",
    "High": "high",
    "High 10": "high10",
    "High 4:2:2": "high422",
    "High 4:4:4 Predictive": "high444",
}
_PIXELS = frozenset(
    {"yuv420p", "yuvj420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p10le"}
)
_UNTOLD = frozenset({"", "unknown", "reserved", "gbr"})


class Likeness(msgspec.Struct, frozen=True):
    """What ffprobe says of a picture, as far as it matters for encoding alike."""

    codec_name: str = ""
    profile: str = ""
    level: int = 0
    pix_fmt: str = ""
    field_order: str = "progressive"
    time_base: str = "0/1"
    color_range: str = ""
    color_space: str = ""
    color_transfer: str = ""
    color_primaries: str = ""

    @property
    def tick(self) -> Fraction:
        """The unit of the film's clock in seconds, 0 when unknown."""
        numerator, _, denominator = self.time_base.partition("/")
        return Fraction(int(numerator), int(denominator or 1))

    @property
    def obstacle(self) -> str:
        """Why its frames cannot be imitated; empty when they can."""
        if self.codec_name != "h264":
            return f"the picture is {self.codec_name}, and only H.264 is sewn"
        if self.field_order not in {"progressive", "unknown", ""}:
            return "the picture is interlaced"
        if self.profile not in _PROFILES or self.pix_fmt not in _PIXELS:
            return f"{self.profile} in {self.pix_fmt} cannot be encoded alike"
        return ""

    def colours(self) -> tuple[str, ...]:
        """Return the encoder's options for what the source says of its colours."""
        told = {
            "-color_range": self.color_range,
            "-colorspace": self.color_space,
            "-color_trc": self.color_transfer,
            "-color_primaries": self.color_primaries,
        }
        return tuple(part for item in told.items() if item[1] not in _UNTOLD for part in item)

    def options(self) -> tuple[str, ...]:
        """Return the encoder's options for frames that fit between the film's own."""
        level = ("-level", str(self.level)) if self.level > 9 else ()
        profile = ("-profile:v", _PROFILES[self.profile])
        return (*profile, *level, "-pix_fmt", self.pix_fmt, *self.colours())


class _Answer(msgspec.Struct):
    streams: list[Likeness] = []


def understand(answer: str) -> Likeness:
    """Return what ffprobe's JSON says of one stream."""
    streams = msgspec.json.decode(answer, type=_Answer).streams
    return streams[0] if streams else Likeness()
