"""Jobs that are steered: chains, replays, groups of errors, limits by key, one job for a key."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_MOMENT = sa.BigInteger()
_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add columns, indexes and four tables."""
    for table, columns in _columns().items():
        for column in columns:
            op.add_column(table, column)
    op.drop_index("jobs_queue_state", table_name="jobs")
    op.create_index("jobs_queue_state_finished_at", "jobs", ["queue", "state", "finished_at"])
    for name, indexed, where in _PARTIAL:
        condition = sa.text(where)
        op.create_index(name, "jobs", indexed, sqlite_where=condition, postgresql_where=condition)
    op.create_index("embedded_messages_job", "embedded_messages", ["queue", "job_id"])
    _create_tables()
    # What was entered and not published waits for that in the order of these moments.
    op.execute(sa.text("UPDATE jobs SET post_at = created_at WHERE state = 'pending'"))


def downgrade() -> None:
    """Take them away again."""
    for table in ("replayed", "replays", "deduplications", "rates"):
        op.drop_table(table)
    op.drop_index("embedded_messages_job", table_name="embedded_messages")
    for name, _, _ in _PARTIAL:
        op.drop_index(name, table_name="jobs")
    op.drop_index("jobs_queue_state_finished_at", table_name="jobs")
    op.create_index("jobs_queue_state", "jobs", ["queue", "state"])
    for table, columns in _columns().items():
        for column in columns:
            op.drop_column(table, column.name)


_PARTIAL = (
    ("jobs_pending", ["post_at", "number"], "state = 'pending'"),
    ("jobs_children", ["parent_queue", "parent_id"], "parent_id != ''"),
    ("jobs_groups", ["state", "queue", "error_group", "finished_at"], "state = 'failed'"),
    ("jobs_replay", ["replay"], "replay IS NOT NULL"),
    ("jobs_retried", ["queue", "state", "attempts"], "attempts > 0"),
)


def _columns() -> dict[str, list[sa.Column[object]]]:
    return {
        "jobs": [
            _word("name"),
            sa.Column("life", sa.Integer(), server_default="0", nullable=False),
            sa.Column("loose", sa.Boolean(), server_default=sa.false(), nullable=False),
            sa.Column("max_attempts", sa.Integer()),
            _word("origin"),
            sa.Column("post_at", _MOMENT),
            _word("limit_key"),
            sa.Column("slot_at", _MOMENT),
            _word("error_group"),
            sa.Column("replay", sa.BigInteger()),
            _word("parent_queue"),
            _word("parent_id"),
            sa.Column("chain", sa.LargeBinary()),
        ],
        "schedules": [
            _word("missed", "skip"),
            _word("source", "api"),
            _word("last_job"),
            sa.Column("at_most", sa.Integer(), server_default="100", nullable=False),
            sa.Column("created_at", _MOMENT),
        ],
        "embedded_messages": [_word("job_id")],
        "queue_controls": [
            sa.Column("draining", sa.SmallInteger(), server_default="0", nullable=False),
            sa.Column("drain_last", sa.BigInteger()),
            sa.Column("drain_at", _MOMENT),
            _word("drain_node"),
        ],
    }


def _word(name: str, default: str = "") -> sa.Column[object]:
    return sa.Column(name, sa.String(), server_default=default, nullable=False)


def _create_tables() -> None:
    op.create_table(
        "rates",
        sa.Column("queue", sa.String(), nullable=False),
        sa.Column("limit_key", sa.String(), nullable=False),
        sa.Column("due_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("queue", "limit_key", name="rates_pkey"),
    )
    op.create_table(
        "deduplications",
        sa.Column("queue", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("until", _MOMENT),
        sa.PrimaryKeyConstraint("queue", "key", name="deduplications_pkey"),
    )
    op.create_index("deduplications_until", "deduplications", ["until"])
    op.create_table(
        "replays",
        sa.Column("number", _NUMBER, nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("rate", sa.Double()),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("undone_at", _MOMENT),
        sa.PrimaryKeyConstraint("number", name="replays_pkey"),
    )
    op.create_table(
        "replayed",
        sa.Column("queue", sa.String(), nullable=False),
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("replay", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("before", sa.LargeBinary()),
        sa.Column("original", sa.LargeBinary()),
        sa.PrimaryKeyConstraint("queue", "job_id", name="replayed_pkey"),
    )
