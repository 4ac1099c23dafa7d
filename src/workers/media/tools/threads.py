"""How many threads ffmpeg may have, by the pool's ``cpu``, written into its command. Pure.

One more than the processors it may use, because reading and writing wait for each other by turns.
How much it gets of a busy machine is niceness, which it inherits from its worker.
"""

import math
from collections.abc import Sequence

FLAG = "-threads"


def allowed(cpu: float) -> int:
    """Return the number of threads for so many processors; 0: as many as ffmpeg likes."""
    return math.ceil(cpu) + 1 if cpu > 0 else 0


def bounded(command: Sequence[str], most: int) -> tuple[str, ...]:
    """Return a command of ffmpeg that says for each input, and its last output, how many threads.

    Where it says so already it is left as it is.
    """
    if not most:
        return tuple(command)
    bounded: list[str] = []
    said = False
    for place, word in enumerate(command):
        said = said or word == FLAG
        if word == "-i" or place == len(command) - 1:
            bounded += [] if said else [FLAG, str(most)]
            said = False
        bounded.append(word)
    return tuple(bounded)
