"""All tables of the ledger. A change here needs a migration; a test compares the two.

- ``jobs``: the jobs, and what is kept of each
- ``entries``: what they are entered from; ``queues``: where they wait
- ``requests``: what is asked of them later; ``reports``: what people are told of them

``columns`` is what they are made of. Its ``metadata`` has all of them: whoever imports a room of
this package loads every one.
"""

from supervisor.ledger.tables import entries, jobs, queues, reports, requests

__all__ = ["entries", "jobs", "queues", "reports", "requests"]
