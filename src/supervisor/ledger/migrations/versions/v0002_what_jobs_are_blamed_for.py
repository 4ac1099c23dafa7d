"""What jobs are blamed for: memory and time counted apart, and the pool a job was moved to."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns to the jobs."""
    for column in _columns():
        op.add_column("jobs", column)


def downgrade() -> None:
    """Take them away again; workers that needed too much memory count as crashes then."""
    op.execute("UPDATE jobs SET crashes = crashes + memory_crashes")
    for column in _columns():
        op.drop_column("jobs", column.name)


def _columns() -> list[sa.Column[object]]:
    return [
        sa.Column("charge", sa.String(), server_default="crashed", nullable=False),
        sa.Column("is_shared", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("timeouts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("memory_crashes", sa.Integer(), server_default="0", nullable=False),
        sa.Column("moved_to", sa.String(), server_default="", nullable=False),
    ]
