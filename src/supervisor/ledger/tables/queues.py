"""The queues: how they are held and paced, and those that are kept in the ledger itself."""

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

from supervisor.ledger.tables.columns import MOMENT, NAME, PACKED, ROW_NUMBER, metadata

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
