"""Jobs that follow jobs: which chain each is of, and a note for every chain to be looked at."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_CHILDREN = ["parent_queue", "parent_id"]


def upgrade() -> None:
    """Say of each job which chain it is of, and add the triggers that note what befalls it."""
    op.drop_column("jobs", "chain")
    for name in ("root_queue", "root_id"):
        op.add_column("jobs", sa.Column(name, sa.String(), server_default="", nullable=False))
    for name in ("chain_open", "chain_leaving"):
        op.add_column(
            "jobs", sa.Column(name, sa.Boolean(), server_default=sa.false(), nullable=False)
        )
    op.add_column("jobs", sa.Column("chain_told", sa.BigInteger()))
    op.drop_index("jobs_children", table_name="jobs")
    _index("jobs_children", [*_CHILDREN, "number"], "parent_id != ''")
    _index("jobs_chain", ["root_queue", "root_id", "state", "number"], "root_id != ''")
    op.create_table(
        "chain_checks",
        sa.Column("number", _NUMBER, nullable=False),
        sa.Column("queue", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("begins", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="chain_checks_pkey"),
    )
    for words in _SQLITE if _is_sqlite() else _POSTGRESQL:
        op.execute(sa.text(words))


def downgrade() -> None:
    """Take them away again."""
    for words in _SQLITE_BACK if _is_sqlite() else _POSTGRESQL_BACK:
        op.execute(sa.text(words))
    op.drop_table("chain_checks")
    # Nobody would know any more whom to tell of a chain: each of its jobs is one by itself again.
    op.execute(sa.text("UPDATE jobs SET parent_queue = '', parent_id = '' WHERE parent_id != ''"))
    for name in ("jobs_chain", "jobs_children"):
        op.drop_index(name, table_name="jobs")
    _index("jobs_children", _CHILDREN, "parent_id != ''")
    for name in ("chain_told", "chain_leaving", "chain_open", "root_id", "root_queue"):
        op.drop_column("jobs", name)
    op.add_column("jobs", sa.Column("chain", sa.LargeBinary()))


def _is_sqlite() -> bool:
    return op.get_bind().dialect.name == "sqlite"


def _index(name: str, columns: list[str], where: str) -> None:
    condition = sa.text(where)
    op.create_index(name, "jobs", columns, sqlite_where=condition, postgresql_where=condition)


# Whatever ends a job, or has it run again, changes its state: so nothing that does either can
# forget the note, which is in the same transaction. A job that had ended changes nothing by going:
# those that are cleaned away leave no notes.
_FINAL = "IN ('completed', 'failed', 'cancelled', 'removed')"
_TURNS = f"NEW.root_id != '' AND (NEW.state {_FINAL}) != (OLD.state {_FINAL})"
_GOES = f"OLD.root_id != '' AND NOT (OLD.state {_FINAL})"
_NOTE = "INSERT INTO chain_checks (queue, id, begins)"
_TURNED = f"{_NOTE} VALUES (NEW.root_queue, NEW.root_id, NOT (NEW.state {_FINAL}));"
_GONE = f"{_NOTE} VALUES (OLD.root_queue, OLD.root_id, false);"

_SQLITE = (
    f"CREATE TRIGGER chain_turns AFTER UPDATE OF state ON jobs WHEN {_TURNS} BEGIN {_TURNED} END",
    f"CREATE TRIGGER chain_shrinks AFTER DELETE ON jobs WHEN {_GOES} BEGIN {_GONE} END",
)
_SQLITE_BACK = ("DROP TRIGGER chain_turns", "DROP TRIGGER chain_shrinks")
_POSTGRESQL = (
    f"""CREATE FUNCTION note_chain_turn() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN {_TURNED} RETURN NULL; END $$""",
    f"""CREATE FUNCTION note_chain_gone() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN {_GONE} RETURN NULL; END $$""",
    f"""CREATE TRIGGER chain_turns AFTER UPDATE OF state ON jobs FOR EACH ROW
    WHEN ({_TURNS}) EXECUTE FUNCTION note_chain_turn()""",
    f"""CREATE TRIGGER chain_shrinks AFTER DELETE ON jobs FOR EACH ROW
    WHEN ({_GOES}) EXECUTE FUNCTION note_chain_gone()""",
)
_POSTGRESQL_BACK = (
    "DROP TRIGGER chain_turns ON jobs",
    "DROP TRIGGER chain_shrinks ON jobs",
    "DROP FUNCTION note_chain_turn()",
    "DROP FUNCTION note_chain_gone()",
)
