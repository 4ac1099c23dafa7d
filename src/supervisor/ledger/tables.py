"""All tables of the ledger. A change here needs a migration; a test compares the two."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
    true,
)

from supervisor.ledger.dialects import random_id, utc_text
from supervisor.ledger.presence import here

metadata = MetaData(
    naming_convention={
        "ix": "%(table_name)s_%(column_0_N_name)s",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "pk": "%(table_name)s_pkey",
    }
)

# SQLite numbers rows by itself only in a column that is INTEGER to the letter.
ROW_NUMBER = BigInteger().with_variant(Integer(), "sqlite")
MOMENT = BigInteger()  # microseconds since 1970, UTC
PACKED = LargeBinary()  # JSON
NAME = String()

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
# What few jobs have in common, the fewest first: see `filters.py`.
FEW = {name: text(f"{name} != ''") for name in ("sender", "error_group", "origin", "name")}

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

notices = Table(
    "notices",
    metadata,
    Column("number", ROW_NUMBER, primary_key=True),
    Column("key", NAME, nullable=False),
    Column("sink", NAME, nullable=False),
    Column("event", NAME, nullable=False),
    Column("queue", NAME, nullable=False),
    Column("job_id", NAME, nullable=False),
    Column("sender", NAME, nullable=False),
    Column("text", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("deliveries", Integer, nullable=False, server_default="0"),
    Column("due_at", MOMENT),  # none: delivered, or given up
    Column("delivered_at", MOMENT),
    Column("error", Text, nullable=False, server_default=""),
    Column("node", NAME, nullable=False, server_default=here()),  # the coordinator that tells it
    UniqueConstraint("key", "sink"),
    Index(None, "due_at"),
)

incidents = Table(
    "incidents",
    metadata,
    Column("number", ROW_NUMBER, primary_key=True),
    Column("worker", NAME, nullable=False),
    Column("pool", NAME, nullable=False),
    Column("cause", NAME, nullable=False),
    Column("why", Text, nullable=False),
    Column("at", MOMENT, nullable=False),
    Column("exit", Text, nullable=False, server_default=""),
    Column("pid", Integer, nullable=False, server_default="0"),
    Column("jobs", PACKED, nullable=False),
    Column("stack", Text, nullable=False, server_default=""),
)

schedules = Table(
    "schedules",
    metadata,
    Column("name", NAME, primary_key=True),
    Column("pool", NAME, nullable=False),
    Column("cron", NAME),
    Column("every", Double),  # seconds
    Column("zone", NAME, nullable=False, server_default="UTC"),
    Column("body", LargeBinary, nullable=False),
    Column("priority", SmallInteger, nullable=False, server_default="3"),
    Column("paused", Boolean, nullable=False, server_default=false()),
    Column("last_at", MOMENT),
    Column("next_at", MOMENT),
    Column("missed", NAME, nullable=False, server_default="skip"),  # or catch_up
    Column("source", NAME, nullable=False, server_default="api"),  # or the configuration
    Column("last_job", NAME, nullable=False, server_default=""),
    Column("at_most", Integer, nullable=False, server_default="100"),  # missed runs caught up with
    Column("created_at", MOMENT),
    Index(None, "next_at"),
)

queue_controls = Table(
    "queue_controls",
    metadata,
    Column("queue", NAME, primary_key=True),
    Column("paused", Boolean, nullable=False, server_default=false()),
    Column("rate", Double),  # jobs a second
    Column("why", Text, nullable=False, server_default=""),
    Column("changed_at", MOMENT, nullable=False),
    # A drain that was begun and not finished: 1 of what waits, 2 of what is delayed as well.
    Column("draining", SmallInteger, nullable=False, server_default="0"),
    Column("drain_last", BigInteger),  # the newest job there was when it began
    Column("drain_at", MOMENT),
    Column("drain_node", NAME, nullable=False, server_default=""),  # the coordinator that drains
)

# Where the generic cell rate algorithm stands, for every pool and every key that is limited.
rates = Table(
    "rates",
    metadata,
    Column("queue", NAME, primary_key=True),
    Column("limit_key", NAME, primary_key=True),  # empty: the whole pool
    Column("due_at", MOMENT, nullable=False),  # the theoretical arrival time of the next job
)

# A job's key stands for the job until then: another one with the same key is not entered.
deduplications = Table(
    "deduplications",
    metadata,
    Column("queue", NAME, primary_key=True),
    Column("key", NAME, primary_key=True),
    Column("job_id", NAME, nullable=False),
    Column("until", MOMENT),  # none: as long as the job is not finished
    Index(None, "until"),
)

replays = Table(
    "replays",
    metadata,
    Column("number", ROW_NUMBER, primary_key=True),
    Column("created_at", MOMENT, nullable=False),
    Column("what", Text, nullable=False),  # which jobs, in words
    Column("rate", Double),  # jobs a second; none: at once
    Column("total", Integer, nullable=False),
    Column("undone_at", MOMENT),
)

# What the last replay of a job changed, so that it can be undone; and the body as it first came.
replayed = Table(
    "replayed",
    metadata,
    Column("queue", NAME, primary_key=True),
    Column("job_id", NAME, primary_key=True),
    Column("replay", BigInteger, nullable=False),
    Column("seq", Integer, nullable=False),  # the copy it entered
    Column("before", PACKED),  # none: it was undone
    Column("original", LargeBinary),  # none: its body was never changed
)

# Jobs that one coordinator was asked to cancel, and another one has in hand.
cancellations = Table(
    "cancellations",
    metadata,
    Column("queue", NAME, primary_key=True),
    Column("job_id", NAME, primary_key=True),
    Column("life", Integer, nullable=False),  # of the job: another one is not meant
    Column("node", NAME, nullable=False),  # the coordinator that is to do it
    Column("asked_at", MOMENT, nullable=False),
    # It was cancelled by whoever found it waiting, and its node has it told.
    Column("done", Boolean, nullable=False, server_default=false()),
)

embedded_queues = Table("embedded_queues", metadata, Column("name", NAME, primary_key=True))

embedded_messages = Table(
    "embedded_messages",
    metadata,
    Column("tag", ROW_NUMBER, primary_key=True),
    Column("queue", NAME, nullable=False),
    Column("state", SmallInteger, nullable=False),  # 0 ready, 1 claimed, 2 delayed
    Column("level", SmallInteger, nullable=False),  # 1 goes first
    Column("body", LargeBinary, nullable=False),
    Column("properties", PACKED, nullable=False),
    Column("deliveries", Integer, nullable=False, server_default="0"),
    Column("due_at", MOMENT),
    Column("job_id", NAME, nullable=False, server_default=""),
    Index("embedded_messages_job", "queue", "job_id"),
    Index("embedded_messages_order", "queue", "state", "level", "tag"),
    Index("embedded_messages_due", "state", "due_at"),
    sqlite_autoincrement=True,  # a tag is never given twice
)

# Other programs insert here, in their own words: column names and plain texts are for them.
intake = Table(
    "intake",
    metadata,
    Column("id", NAME, primary_key=True, server_default=random_id()),
    Column("queue_name", NAME, nullable=False),
    Column("type", NAME),
    Column("data", Text, nullable=False, server_default="{}"),
    Column("status", NAME, nullable=False, server_default="pending"),
    Column("priority", Integer),
    Column("max_attempts", Integer),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("delay_ms", BigInteger, nullable=False, server_default="0"),
    Column("scheduled_for", Text),  # ISO 8601
    Column("worker_id", NAME),
    Column("created_at", Text, nullable=False, server_default=utc_text()),
    Column("updated_at", Text),
    Column("processed_on", Text),
    Column("finished_on", Text),
    Column("result", Text),
    Column("error", Text),
    Index(None, "status", "created_at"),
    Index(None, "status", "finished_on"),
)

# Rows of it that could not follow their jobs: another program held them just then.
intake_owed = Table("intake_owed", metadata, Column("id", NAME, primary_key=True))
