"""Whether the words of a job without an id are those of a message that is not known yet."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column to the jobs."""
    op.add_column(
        "jobs", sa.Column("has_twin", sa.Boolean(), server_default=sa.false(), nullable=False)
    )


def downgrade() -> None:
    """Take it away again."""
    op.drop_column("jobs", "has_twin")
