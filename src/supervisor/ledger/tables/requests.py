"""What was asked of jobs later: to run again, or to be cancelled elsewhere."""

from sqlalchemy import BigInteger, Boolean, Column, Double, Integer, LargeBinary, Table, Text, false

from supervisor.ledger.tables.columns import MOMENT, NAME, PACKED, ROW_NUMBER, metadata

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
