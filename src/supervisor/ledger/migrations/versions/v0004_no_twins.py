"""Nothing is said of twins any more: acks are written so that it is known whether they arrived."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Take the column away; of what was in doubt (3) nothing is owed."""
    op.execute("UPDATE jobs SET trace = 0 WHERE trace = 3")
    op.drop_column("jobs", "has_twin")


def downgrade() -> None:
    """Add it again; what is surely not acked (3) is owed as before."""
    op.execute("UPDATE jobs SET trace = 1 WHERE trace = 3")
    op.add_column(
        "jobs", sa.Column("has_twin", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
