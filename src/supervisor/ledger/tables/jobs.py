"""The jobs, what is kept of each, and what triggers count and note of them."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
    true,
)

from supervisor.ledger.presence import here
from supervisor.ledger.tables.columns import MOMENT, NAME, PACKED, ROW_NUMBER, metadata

# To the letter in index and query alike: only then does SQLite use the index.
TRACED = text("trace > 0")
PENDING = text("state = 'pending'")
DELAYED = text("state = 'delayed'")
WAITING = text("state = 'waiting'")
HAS_PARENT = text("parent_id != ''")
HAS_ROOT = text("root_id != ''")
DEAD = text("state = 'failed'")
REPLAYED = text("replay IS NOT NULL")
RETRIED = text("attempts > 0")
# What few jobs have in common, the fewest first: see `filters.py`. A server refuses the whole row
# if an index would have much more than 2,000 bytes of it, and whoever publishes says what is in it.
LONGEST_SHARED = 500  # characters
FEW = {
    name: text(f"{name} != '' AND length({name}) <= {LONGEST_SHARED}")
    for name in ("sender", "error_group", "origin", "name")
}

jobs = Table(
    "jobs",
    metadata,
    Column("number", ROW_NUMBER, primary_key=True),
    Column("queue", NAME, nullable=False),
    Column("id", NAME, nullable=False),
    Column("pool", NAME, nullable=False),
    Column("name", NAME, nullable=False, server_default=""),  # its type, where a pool has several
    Column("state", NAME, nullable=False),
    Column("priority", SmallInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("properties", PACKED, nullable=False),
    Column("sender", NAME, nullable=False, server_default=""),
    Column("noreply", Boolean, nullable=False, server_default=false()),
    Column("fingerprint", NAME, nullable=False, server_default=""),
    # Whether a redelivery without an id may be this job: see `claims.py`.
    Column("trace", SmallInteger, nullable=False, server_default="0"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("crashes", Integer, nullable=False, server_default="0"),
    Column("crash", Text, nullable=False, server_default=""),
    Column("suspect_cleared", Boolean, nullable=False, server_default=false()),
    # What the last crash was counted as, and whether other jobs may have caused it.
    Column("charge", NAME, nullable=False, server_default="crashed"),
    Column("is_shared", Boolean, nullable=False, server_default=false()),
    Column("timeouts", Integer, nullable=False, server_default="0"),
    Column("memory_crashes", Integer, nullable=False, server_default="0"),
    Column("moved_to", NAME, nullable=False, server_default=""),  # the pool that has it now
    # Its last attempt failed, but its dead letter has not been seen yet.
    Column("given_up", Boolean, nullable=False, server_default=false()),
    Column("seq", Integer, nullable=False, server_default="0"),
    # The first copy of its present life: letters of older ones are of an earlier one.
    Column("life", Integer, nullable=False, server_default="0"),
    # A copy that must not run any more may lie in a queue: the row must stay to say so.
    Column("loose", Boolean, nullable=False, server_default=false()),
    Column("confirmed", Boolean, nullable=False, server_default=true()),
    Column("progress", Double, nullable=False, server_default="0"),
    Column("note", Text, nullable=False, server_default=""),
    Column("worker", NAME, nullable=False, server_default=""),
    Column("result", PACKED),
    Column("error", PACKED),
    Column("duration", Double),
    Column("created_at", MOMENT, nullable=False),
    Column("started_at", MOMENT),
    Column("finished_at", MOMENT),
    Column("due_at", MOMENT),
    Column("max_attempts", Integer),  # none: as its pool has it
    Column("origin", NAME, nullable=False, server_default=""),  # schedule:NAME, intake, ...
    Column("post_at", MOMENT),  # a pending job is not published before
    Column("limit_key", NAME, nullable=False, server_default=""),  # on whose account it runs
    Column("slot_at", MOMENT),  # by its limit; kept free for it until it runs
    Column("error_group", NAME, nullable=False, server_default=""),  # what errors like its share
    Column("replay", BigInteger),  # the last replay it was part of
    Column("parent_queue", NAME, nullable=False, server_default=""),
    Column("parent_id", NAME, nullable=False, server_default=""),
    # The first job of its chain; of the first itself, once something followed it, its own key.
    Column("root_queue", NAME, nullable=False, server_default=""),
    Column("root_id", NAME, nullable=False, server_default=""),
    # Of the first alone: the others have not all ended, or nobody was told yet that they have.
    Column("chain_open", Boolean, nullable=False, server_default=false()),
    # It is being removed with all that came of it; and the newest end that was told of so far.
    Column("chain_leaving", Boolean, nullable=False, server_default=false()),
    Column("chain_told", MOMENT),
    # The coordinator that last had it in hand, or is to publish it.
    Column("node", NAME, nullable=False, server_default=here()),
    UniqueConstraint("queue", "id"),
    Index(None, "id"),
    Index(None, "queue", "state", "finished_at"),
    Index(None, "state", "number"),
    Index(None, "created_at", "number"),
    Index(None, "pool", "number"),
    Index(None, "pool", "state", "number"),
    # With all that is asked of what is due: a list of it need not look at the rows.
    Index(
        "jobs_due", "due_at", "queue", "pool", "number",
        sqlite_where=DELAYED, postgresql_where=DELAYED,
    ),
    Index(
        "jobs_waiting", "queue", "priority", "number",
        sqlite_where=WAITING, postgresql_where=WAITING,
    ),
    Index("jobs_pending", "post_at", "number", sqlite_where=PENDING, postgresql_where=PENDING),
    Index(
        "jobs_children", "parent_queue", "parent_id", "number",
        sqlite_where=HAS_PARENT, postgresql_where=HAS_PARENT,
    ),
    Index(
        "jobs_chain", "root_queue", "root_id", "state", "number",
        sqlite_where=HAS_ROOT, postgresql_where=HAS_ROOT,
    ),
    Index(
        "jobs_groups", "state", "queue", "error_group", "finished_at",
        sqlite_where=DEAD, postgresql_where=DEAD,
    ),
    Index("jobs_replay", "replay", sqlite_where=REPLAYED, postgresql_where=REPLAYED),
    *(
        Index(f"jobs_{name}", name, "state", "number", sqlite_where=some, postgresql_where=some)
        for name, some in FEW.items()
    ),
    Index(
        "jobs_retried", "queue", "state", "attempts",
        sqlite_where=RETRIED, postgresql_where=RETRIED,
    ),
    Index(
        "jobs_trace", "queue", "fingerprint",
        sqlite_where=TRACED, postgresql_where=TRACED,
    ),
    sqlite_autoincrement=True,
)  # fmt: skip

# How many jobs are in which state, kept by triggers (see the migration that made it): to count a
# million rows takes longer than anybody waits. Every coordinator adds to rows of its own, which
# alone may be below zero; their sums are true.
job_counts = Table(
    "job_counts",
    metadata,
    Column("queue", NAME, primary_key=True),
    Column("state", NAME, primary_key=True),
    Column("node", NAME, primary_key=True),
    Column("count", BigInteger, nullable=False),
)

# What is to be added to them; SQLite adds at once.
job_changes = Table(
    "job_changes",
    metadata,
    Column("number", ROW_NUMBER, primary_key=True),
    Column("queue", NAME, nullable=False),
    Column("state", NAME, nullable=False),
    Column("change", BigInteger, nullable=False),
)

# Chains to be looked at, as triggers note them: a job has ended or is gone, or begins again.
chain_checks = Table(
    "chain_checks",
    metadata,
    Column("number", ROW_NUMBER, primary_key=True),
    Column("queue", NAME, nullable=False),  # of the first job
    Column("id", NAME, nullable=False),
    Column("begins", Boolean, nullable=False),  # a job that had ended is to run again
)

attempts = Table(
    "attempts",
    metadata,
    Column("run", ROW_NUMBER, primary_key=True),
    Column("queue", NAME, nullable=False),
    Column("job_id", NAME, nullable=False),
    Column("number", Integer, nullable=False),
    Column("worker", NAME, nullable=False),
    Column("started_at", MOMENT, nullable=False),
    Column("finished_at", MOMENT),
    Column("error", Text, nullable=False, server_default=""),
    Column("code", NAME, nullable=False, server_default=""),
    Column("traceback", Text, nullable=False, server_default=""),
    Column("exit", Text, nullable=False, server_default=""),
    Column("node", NAME, nullable=False, server_default=here()),
    Index(None, "queue", "job_id"),
    Index(
        "attempts_open", "queue", "job_id", unique=True,
        sqlite_where=text("finished_at IS NULL"), postgresql_where=text("finished_at IS NULL"),
    ),
)  # fmt: skip

job_lines = Table(
    "job_lines",
    metadata,
    Column("number", ROW_NUMBER, primary_key=True),
    Column("queue", NAME, nullable=False),
    Column("job_id", NAME, nullable=False),
    Column("at", MOMENT, nullable=False),
    Column("line", Text, nullable=False),
    Index(None, "queue", "job_id"),
)
