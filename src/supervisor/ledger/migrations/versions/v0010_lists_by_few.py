"""Lists of a few jobs look at no others: of a user, type, origin, or error, and of a while."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_FEW = ("sender", "error_group", "origin", "name")


def upgrade() -> None:
    """Add the indexes."""
    op.create_index("jobs_created_at_number", "jobs", ["created_at", "number"])
    for name in _FEW:
        # A server has no room in an index for texts of any length, which foreign messages bring.
        some = sa.text(f"{name} != '' AND length({name}) <= 500")
        columns = [name, "state", "number"]
        op.create_index(f"jobs_{name}", "jobs", columns, sqlite_where=some, postgresql_where=some)


def downgrade() -> None:
    """Take them away again."""
    for name in _FEW:
        op.drop_index(f"jobs_{name}", table_name="jobs")
    op.drop_index("jobs_created_at_number", table_name="jobs")
