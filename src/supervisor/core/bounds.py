"""How far the values of orders go: for those who refuse what lies outside, and for the description.

What belongs to one subject alone is with its rules: see ``delays``, ``on_demand``, ``schedules``.
"""

MOST_WORKERS = 256  # of one pool
MOST_ATTEMPTS = 1000  # of one job
MOST_CAUGHT_UP = 10_000  # missed runs of a schedule
LONGEST_ID = 200  # bytes; AMQP has room for 255
LONGEST_TTL = 366 * 86_400  # seconds that a key is in force
LONGEST_AGE = 100 * 365 * 86_400.0  # seconds since a job failed
LONGEST_WHY = 500  # characters
SLOWEST = 0.001  # jobs a second
FASTEST = 1_000_000
