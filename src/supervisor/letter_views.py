"""Dead letters as they are told of: by their groups, and what came apart from what we added."""

from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from consumers import jobs
from consumers.jobs import Properties
from supervisor.desks.letters import AT_ONCE, Share
from supervisor.ledger.letters import Pick

MOST_SHARES = 20  # groups that an answer tells apart
OURS = "x-job-"
PUBLISHERS = frozenset({jobs.PRIORITY, jobs.MAX_ATTEMPTS})  # what others may say themselves


def shares(picks: Iterable[Pick]) -> tuple[Share, ...]:
    """Return of which groups these are, the largest first."""
    counted: Counter[tuple[str, str]] = Counter()
    errors: dict[tuple[str, str], str] = {}
    for pick in picks:
        counted[pick.pool, pick.group] += 1
        errors[pick.pool, pick.group] = pick.error
    return tuple(
        Share(*place, number, errors[place]) for place, number in counted.most_common(MOST_SHARES)
    )


def more(found: Sequence[Pick]) -> tuple[str, ...]:
    """Return that there may be more than one order is about."""
    return (f"these are the first {AT_ONCE:,}: say it again for more",) * (len(found) == AT_ONCE)


def apart(properties: Properties) -> tuple[Properties, dict[str, object]]:
    """Return the properties as they came, and the headers that we added on the way."""
    came: dict[str, object] = {}
    added: dict[str, object] = {}
    for name, value in properties.headers.items():
        (added if name.startswith(OURS) and name not in PUBLISHERS else came)[name] = value
    expiration = added.pop(jobs.EXPIRATION, None)
    as_it_was = properties.expiration if expiration is None else str(expiration)
    return msgspec.structs.replace(properties, headers=came, expiration=as_it_was), added
