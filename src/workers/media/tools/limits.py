"""What is too much of a file, as told before any work begins: pictures, streams, hours.

Pure. ffprobe and ffmpeg are told the same numbers and refuse to allocate more; what they say then
is understood here.
"""

from workers.media.faults import fault

MOST_PIXELS = 35_389_440  # of one picture: 8192 x 4320
MOST_STREAMS = 100  # of one file

# Given with every input.
FLAGS = {"max_pixels": str(MOST_PIXELS), "max_streams": str(MOST_STREAMS)}

_SAID = (
    ("exceeds specified max pixel count", "too_big_picture", f"pictures over {MOST_PIXELS} pixels"),
    ("exceeds max_streams", "too_many_streams", f"more than {MOST_STREAMS} streams"),
)


def hold_complaint(name: str, complaint: str) -> None:
    """Return when a tool did not complain of a limit.

    Raises:
        RefusedError: ``too_big_picture`` or ``too_many_streams``.
    """
    for said, code, what in _SAID:
        if said in complaint:
            raise fault(code, f"{name} holds {what}, more than is worked on")


def hold_duration(name: str, seconds: float, most: float) -> None:
    """Return when a file is not too long.

    Raises:
        RefusedError: ``too_long``.
    """
    if seconds > most:
        hours, limit = seconds / 3600, most / 3600
        raise fault("too_long", f"{name} says it plays {hours:.1f} h, the limit is {limit:.3g} h")
