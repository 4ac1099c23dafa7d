"""Jobs that are to be cancelled by another machine; PostgreSQL calls out when there is one."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table, and on PostgreSQL who says that something was put into it."""
    op.create_table(
        "cancellations",
        sa.Column("queue", sa.String(), nullable=False),
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("life", sa.Integer(), nullable=False),
        sa.Column("node", sa.String(), nullable=False),
        sa.Column("asked_at", sa.BigInteger(), nullable=False),
        sa.Column("done", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.PrimaryKeyConstraint("queue", "job_id", name="cancellations_pkey"),
    )
    for words in _POSTGRESQL if _is_postgresql() else ():
        op.execute(sa.text(words))


def downgrade() -> None:
    """Take them away again."""
    op.drop_table("cancellations")
    for words in _POSTGRESQL_BACK if _is_postgresql() else ():
        op.execute(sa.text(words))


def _is_postgresql() -> bool:
    return op.get_bind().dialect.name == "postgresql"


_POSTGRESQL = (
    """CREATE FUNCTION knock_for_cancellation() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM pg_notify('supervisor_cancellations', '');
        RETURN NULL;
    END $$""",
    """CREATE TRIGGER cancellation_asked AFTER INSERT OR UPDATE ON cancellations
    FOR EACH STATEMENT EXECUTE FUNCTION knock_for_cancellation()""",
)
_POSTGRESQL_BACK = ("DROP FUNCTION knock_for_cancellation()",)
