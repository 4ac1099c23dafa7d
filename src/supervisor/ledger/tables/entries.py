"""What jobs are entered from, and what keeps one from being entered twice."""

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
    false,
)

from supervisor.ledger.dialects import random_id, utc_text
from supervisor.ledger.tables.columns import MOMENT, NAME, metadata

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
