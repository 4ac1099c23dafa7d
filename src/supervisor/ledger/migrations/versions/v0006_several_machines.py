"""Several machines on one ledger: whose rows are whose; and counts that need no counting."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_WITH_A_NODE = ("jobs", "attempts", "notices")
_HERE = "coalesce(current_setting('supervisor.node', true), '')"
_PARTIAL = {
    "jobs_due": (["due_at", "queue", "pool", "number"], "state = 'delayed'"),
    "jobs_waiting": (["queue", "priority", "number"], "state = 'waiting'"),
}


def upgrade() -> None:
    """Add the column, three indexes, and the counts with the triggers that keep them."""
    default = sa.text("''") if _is_sqlite() else sa.text(_HERE)
    for table in _WITH_A_NODE:
        if not _is_sqlite():  # rows that are there are nobody's
            op.add_column(table, sa.Column("node", sa.String(), server_default="", nullable=False))
            op.alter_column(table, "node", server_default=default)
        else:
            node = sa.Column("node", sa.String(), server_default=default, nullable=False)
            op.add_column(table, node)
    op.create_index("jobs_pool_state_number", "jobs", ["pool", "state", "number"])
    for name, (columns, where) in _PARTIAL.items():
        condition = sa.text(where)
        op.create_index(name, "jobs", columns, sqlite_where=condition, postgresql_where=condition)
    op.create_table(
        "job_counts",
        sa.Column("queue", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("node", sa.String(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("queue", "state", "node", name="job_counts_pkey"),
    )
    op.create_table(
        "job_changes",
        sa.Column("number", _NUMBER, nullable=False),
        sa.Column("queue", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("change", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="job_changes_pkey"),
    )
    op.execute(_FIRST_COUNT)
    for words in _SQLITE if _is_sqlite() else _POSTGRESQL:
        op.execute(words)


def downgrade() -> None:
    """Take them away again."""
    for name in _TRIGGERS:
        op.execute(f"DROP TRIGGER {name}" if _is_sqlite() else f"DROP TRIGGER {name} ON jobs")
    if not _is_sqlite():
        op.execute("DROP FUNCTION count_jobs()")
    op.drop_table("job_changes")
    op.drop_table("job_counts")
    for name in _PARTIAL:
        op.drop_index(name, table_name="jobs")
    op.drop_index("jobs_pool_state_number", table_name="jobs")
    for table in _WITH_A_NODE:
        op.drop_column(table, "node")


def _is_sqlite() -> bool:
    return op.get_bind().dialect.name == "sqlite"


_TRIGGERS = ("jobs_entered", "jobs_changed", "jobs_removed")
_FIRST_COUNT = """
INSERT INTO job_counts (queue, state, node, count)
SELECT queue, state, '', count(*) FROM jobs GROUP BY queue, state
"""
_MORE = """
    INSERT INTO job_counts (queue, state, node, count) VALUES (NEW.queue, NEW.state, '', 1)
    ON CONFLICT (queue, state, node) DO UPDATE SET count = count + 1;
"""
_FEWER = """
    INSERT INTO job_counts (queue, state, node, count) VALUES (OLD.queue, OLD.state, '', -1)
    ON CONFLICT (queue, state, node) DO UPDATE SET count = count - 1;
"""
_SQLITE = (
    f"CREATE TRIGGER jobs_entered AFTER INSERT ON jobs BEGIN {_MORE} END",
    f"""CREATE TRIGGER jobs_changed AFTER UPDATE OF queue, state ON jobs
    WHEN OLD.state != NEW.state OR OLD.queue != NEW.queue BEGIN {_FEWER} {_MORE} END""",
    f"CREATE TRIGGER jobs_removed AFTER DELETE ON jobs BEGIN {_FEWER} END",
)
# A row for a whole statement: a hundred thousand jobs that are drained are one change. They are
# added up later: to change one row of counts a thousand times in a transaction, PostgreSQL would
# walk along a thousand versions of it each time; and two coordinators would wait for each other.
_FUNCTION = """
CREATE FUNCTION count_jobs() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO job_changes (queue, state, change)
        SELECT queue, state, count(*) FROM after GROUP BY queue, state;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO job_changes (queue, state, change)
        SELECT queue, state, -count(*) FROM before GROUP BY queue, state;
    ELSE
        INSERT INTO job_changes (queue, state, change)
        SELECT queue, state, sum(change) FROM (
            SELECT queue, state, 1 AS change FROM after
            UNION ALL SELECT queue, state, -1 FROM before
        ) AS changes GROUP BY queue, state HAVING sum(change) != 0;
    END IF;
    RETURN NULL;
END $$
"""
_POSTGRESQL = (
    _FUNCTION,
    """CREATE TRIGGER jobs_entered AFTER INSERT ON jobs REFERENCING NEW TABLE AS after
    FOR EACH STATEMENT EXECUTE FUNCTION count_jobs()""",
    """CREATE TRIGGER jobs_changed AFTER UPDATE ON jobs
    REFERENCING OLD TABLE AS before NEW TABLE AS after
    FOR EACH STATEMENT EXECUTE FUNCTION count_jobs()""",
    """CREATE TRIGGER jobs_removed AFTER DELETE ON jobs REFERENCING OLD TABLE AS before
    FOR EACH STATEMENT EXECUTE FUNCTION count_jobs()""",
)
