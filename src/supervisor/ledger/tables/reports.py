"""What people are told: the notices of jobs, and what befell the workers."""

from sqlalchemy import Column, Index, Integer, LargeBinary, Table, Text, UniqueConstraint

from supervisor.ledger.presence import here
from supervisor.ledger.tables.columns import MOMENT, NAME, PACKED, ROW_NUMBER, metadata

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
