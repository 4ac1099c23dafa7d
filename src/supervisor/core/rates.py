"""When the next job of a limited pool may start: the generic cell rate algorithm.

One moment is all that must be remembered of the past: the *theoretical arrival time*, when the next
job is due if all came as evenly as the rate has it. A job may come earlier than that by as many
steps as the burst allows. See ITU-T I.371, annex A (virtual scheduling).

Moments are whole microseconds, so that nothing is lost by rounding.
"""

import math
from dataclasses import dataclass

from consumers.limits import Rate

MICROSECONDS = 1_000_000
FURTHEST = 366 * 86_400 * MICROSECONDS  # that a slot may be ahead
APART = 5 * MICROSECONDS  # that what two machines take for now may differ


@dataclass(frozen=True, slots=True)
class Pace:
    """A rate as steps: one job every so many microseconds, and so many at once after a rest."""

    step: int
    burst: int = 1

    @property
    def slack(self) -> int:
        """How far a job may come before it is due."""
        return (self.burst - 1) * self.step


@dataclass(frozen=True, slots=True)
class Slot:
    """The place of one job: it may start ``at`` this moment, and ``due`` is the state that follows.

    A slot in the future is kept free by entering its ``due``, or left to others by not doing so.
    """

    at: int
    due: int


def pace(rate: Rate, burst: int) -> Pace:
    """Return a rate as steps, rounded so that it is never exceeded."""
    return Pace(max(1, math.ceil(rate.seconds * MICROSECONDS / rate.jobs)), burst)


def place(due: int, now: int, pace: Pace) -> Slot:
    """Return the first slot that is free, for one whose past comes down to ``due``."""
    before = max(due, now)
    at = max(now, before - pace.slack)
    return Slot(at, before + pace.step)


def sober(due: int, now: int, pace: Pace, *, apart: int = APART) -> int:
    """Return the state of a pace that keeps no slots for later, after its clock was set back.

    As nothing is kept, it can never be due later than a whole burst from now; or a little later, as
    another machine may have read its clock after us, and had its turn before. Whoever knows that
    its own clock was set back asks with ``apart`` 0.
    """
    latest = now + pace.burst * pace.step
    return due if due <= latest + apart else latest


def is_sober(moment: int, now: int) -> bool:
    """Answer whether a slot may be kept at a moment: what is years ahead, a wrong clock named."""
    return moment - now <= FURTHEST
