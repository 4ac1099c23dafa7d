"""Python's collector of garbage around the start of a program.

What is imported stays. To look through it again and again is a fifth of the time that the imports
take, and later a pause of 50 ms at every full collection.
"""

import gc

RARELY = 50_000  # objects more than were given back, between two looks
_AS_USUAL = gc.get_threshold()


def spare() -> None:
    """Look for garbage rarely, while modules are imported."""
    gc.set_threshold(RARELY, *_AS_USUAL[1:])


def settle() -> None:
    """Look as usual from now on, but never again at what is there already."""
    gc.freeze()
    gc.set_threshold(*_AS_USUAL)
