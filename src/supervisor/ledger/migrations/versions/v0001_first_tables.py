"""The first tables: jobs and what surrounds them, the embedded queues, the intake."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ROW_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create all tables."""
    _create_jobs()
    _create_attempts()
    _create_job_lines()
    _create_notices()
    _create_incidents()
    _create_schedules()
    _create_queue_controls()
    _create_embedded_queues()
    _create_embedded_messages()
    _create_intake()


def downgrade() -> None:
    """Drop all tables."""
    for table in _TABLES:
        op.drop_table(table)


_TABLES = (
    "jobs",
    "attempts",
    "job_lines",
    "notices",
    "incidents",
    "schedules",
    "queue_controls",
    "embedded_queues",
    "embedded_messages",
    "intake",
)


def _create_jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("number", ROW_NUMBER, nullable=False),
        sa.Column("queue", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("pool", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("priority", sa.SmallInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("properties", sa.LargeBinary(), nullable=False),
        sa.Column("sender", sa.String(), server_default="", nullable=False),
        sa.Column("noreply", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("fingerprint", sa.String(), server_default="", nullable=False),
        sa.Column("trace", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("crashes", sa.Integer(), server_default="0", nullable=False),
        sa.Column("crash", sa.Text(), server_default="", nullable=False),
        sa.Column("suspect_cleared", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("given_up", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("seq", sa.Integer(), server_default="0", nullable=False),
        sa.Column("confirmed", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("progress", sa.Double(), server_default="0", nullable=False),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.Column("worker", sa.String(), server_default="", nullable=False),
        sa.Column("result", sa.LargeBinary()),
        sa.Column("error", sa.LargeBinary()),
        sa.Column("duration", sa.Double()),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger()),
        sa.Column("finished_at", sa.BigInteger()),
        sa.Column("due_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("number", name="jobs_pkey"),
        sa.UniqueConstraint("queue", "id", name="jobs_queue_id_key"),
        sqlite_autoincrement=True,
    )
    op.create_index("jobs_id", "jobs", ["id"])
    op.create_index("jobs_pool_number", "jobs", ["pool", "number"])
    op.create_index("jobs_queue_state", "jobs", ["queue", "state"])
    op.create_index("jobs_state_number", "jobs", ["state", "number"])
    op.create_index(
        "jobs_trace",
        "jobs",
        ["queue", "fingerprint"],
        sqlite_where=sa.text("trace > 0"),
        postgresql_where=sa.text("trace > 0"),
    )


def _create_attempts() -> None:
    op.create_table(
        "attempts",
        sa.Column("run", ROW_NUMBER, nullable=False),
        sa.Column("queue", sa.String(), nullable=False),
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("worker", sa.String(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger()),
        sa.Column("error", sa.Text(), server_default="", nullable=False),
        sa.Column("code", sa.String(), server_default="", nullable=False),
        sa.Column("traceback", sa.Text(), server_default="", nullable=False),
        sa.Column("exit", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("run", name="attempts_pkey"),
    )
    op.create_index(
        "attempts_open",
        "attempts",
        ["queue", "job_id"],
        unique=True,
        sqlite_where=sa.text("finished_at IS NULL"),
        postgresql_where=sa.text("finished_at IS NULL"),
    )
    op.create_index("attempts_queue_job_id", "attempts", ["queue", "job_id"])


def _create_job_lines() -> None:
    op.create_table(
        "job_lines",
        sa.Column("number", ROW_NUMBER, nullable=False),
        sa.Column("queue", sa.String(), nullable=False),
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("line", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="job_lines_pkey"),
    )
    op.create_index("job_lines_queue_job_id", "job_lines", ["queue", "job_id"])


def _create_notices() -> None:
    op.create_table(
        "notices",
        sa.Column("number", ROW_NUMBER, nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("sink", sa.String(), nullable=False),
        sa.Column("event", sa.String(), nullable=False),
        sa.Column("queue", sa.String(), nullable=False),
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("sender", sa.String(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("deliveries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("due_at", sa.BigInteger()),
        sa.Column("delivered_at", sa.BigInteger()),
        sa.Column("error", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("number", name="notices_pkey"),
        sa.UniqueConstraint("key", "sink", name="notices_key_sink_key"),
    )
    op.create_index("notices_due_at", "notices", ["due_at"])


def _create_incidents() -> None:
    op.create_table(
        "incidents",
        sa.Column("number", ROW_NUMBER, nullable=False),
        sa.Column("worker", sa.String(), nullable=False),
        sa.Column("pool", sa.String(), nullable=False),
        sa.Column("cause", sa.String(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("exit", sa.Text(), server_default="", nullable=False),
        sa.Column("pid", sa.Integer(), server_default="0", nullable=False),
        sa.Column("jobs", sa.LargeBinary(), nullable=False),
        sa.Column("stack", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("number", name="incidents_pkey"),
    )


def _create_schedules() -> None:
    op.create_table(
        "schedules",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("pool", sa.String(), nullable=False),
        sa.Column("cron", sa.String()),
        sa.Column("every", sa.Double()),
        sa.Column("zone", sa.String(), server_default="UTC", nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("priority", sa.SmallInteger(), server_default="3", nullable=False),
        sa.Column("paused", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("last_at", sa.BigInteger()),
        sa.Column("next_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("name", name="schedules_pkey"),
    )
    op.create_index("schedules_next_at", "schedules", ["next_at"])


def _create_queue_controls() -> None:
    op.create_table(
        "queue_controls",
        sa.Column("queue", sa.String(), nullable=False),
        sa.Column("paused", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("rate", sa.Double()),
        sa.Column("why", sa.Text(), server_default="", nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("queue", name="queue_controls_pkey"),
    )


def _create_embedded_queues() -> None:
    op.create_table(
        "embedded_queues",
        sa.Column("name", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="embedded_queues_pkey"),
    )


def _create_embedded_messages() -> None:
    op.create_table(
        "embedded_messages",
        sa.Column("tag", ROW_NUMBER, nullable=False),
        sa.Column("queue", sa.String(), nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("level", sa.SmallInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("properties", sa.LargeBinary(), nullable=False),
        sa.Column("deliveries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("due_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("tag", name="embedded_messages_pkey"),
        sqlite_autoincrement=True,
    )
    op.create_index("embedded_messages_due", "embedded_messages", ["state", "due_at"])
    op.create_index(
        "embedded_messages_order", "embedded_messages", ["queue", "state", "level", "tag"]
    )


def _create_intake() -> None:
    if op.get_bind().dialect.name == "sqlite":
        random_id, now = "(lower(hex(randomblob(16))))", "CURRENT_TIMESTAMP"
    else:
        random_id = "replace(gen_random_uuid()::text, '-', '')"
        now = "to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')"
    op.create_table(
        "intake",
        sa.Column(
            "id",
            sa.String(),
            server_default=sa.text(random_id),
            nullable=False,
        ),
        sa.Column("queue_name", sa.String(), nullable=False),
        sa.Column("type", sa.String()),
        sa.Column("data", sa.Text(), server_default="{}", nullable=False),
        sa.Column("status", sa.String(), server_default="pending", nullable=False),
        sa.Column("priority", sa.Integer()),
        sa.Column("max_attempts", sa.Integer()),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("delay_ms", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("scheduled_for", sa.Text()),
        sa.Column("worker_id", sa.String()),
        sa.Column("created_at", sa.Text(), server_default=sa.text(now), nullable=False),
        sa.Column("updated_at", sa.Text()),
        sa.Column("processed_on", sa.Text()),
        sa.Column("finished_on", sa.Text()),
        sa.Column("result", sa.Text()),
        sa.Column("error", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="intake_pkey"),
    )
    op.create_index("intake_status_created_at", "intake", ["status", "created_at"])
