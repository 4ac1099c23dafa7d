"""Jobs that other programs insert: their rows follow their jobs, and a new one is made known."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the triggers, what they need, and an index for the rows that go."""
    op.create_index("intake_status_finished_on", "intake", ["status", "finished_on"])
    op.create_table(
        "intake_owed",
        sa.Column("id", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="intake_owed_pkey"),
    )
    for words in _SQLITE if _is_sqlite() else _POSTGRESQL:
        op.execute(sa.text(words))


def downgrade() -> None:
    """Take them away again."""
    op.drop_table("intake_owed")
    op.drop_index("intake_status_finished_on", table_name="intake")
    for words in _SQLITE_BACK if _is_sqlite() else _POSTGRESQL_BACK:
        op.execute(sa.text(words))


def _is_sqlite() -> bool:
    return op.get_bind().dialect.name == "sqlite"


# Whatever changes a job changes its row, in one transaction: there is no moment at which a kill
# could come between the two. Only where another program has locked the row it is noted there that
# it is behind: nobody else's transaction may hold up a job. The columns are those that a row shows;
# progress is not among them.
_WHEN = "UPDATE OF state, worker, attempts, result, error, started_at, finished_at ON jobs"
# What is entered but not yet in its queue waits, as far as the row is concerned.
_STATUS = """CASE WHEN NEW.state != 'pending' THEN NEW.state
        WHEN NEW.due_at IS NULL THEN 'waiting' ELSE 'delayed' END"""
_ATTEMPTS = "NEW.attempts + CASE WHEN NEW.state = 'completed' THEN 1 ELSE 0 END"

_SQLITE = (
    f"""CREATE TRIGGER intake_follows AFTER {_WHEN} WHEN NEW.origin = 'intake'
    BEGIN
        UPDATE intake SET
            status = {_STATUS},
            attempts = {_ATTEMPTS},
            worker_id = NULLIF(NEW.worker, ''),
            processed_on = strftime('%Y-%m-%d %H:%M:%f', NEW.started_at / 1000000.0, 'unixepoch'),
            finished_on = strftime('%Y-%m-%d %H:%M:%f', NEW.finished_at / 1000000.0, 'unixepoch'),
            result = CAST(NEW.result AS TEXT),
            error = CASE WHEN json_valid(CAST(NEW.error AS TEXT))
                THEN json_extract(CAST(NEW.error AS TEXT), '$.message') END,
            updated_at = strftime('%Y-%m-%d %H:%M:%f', 'now')
        WHERE id = NEW.id;
    END""",  # noqa: S608 - made of what stands in this file
)
_SQLITE_BACK = ("DROP TRIGGER intake_follows",)

_MOMENT = "to_char(to_timestamp({} / 1000000.0) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.MS')"
# What a database cannot hold as text (a NUL in a message, a letter that its encoding does not have)
# must not keep a job from ending: the row shows less then.
_POSTGRESQL = (
    """CREATE FUNCTION intake_text(said bytea) RETURNS text LANGUAGE plpgsql AS $$
    BEGIN
        RETURN convert_from(said, 'UTF8');
    EXCEPTION WHEN OTHERS THEN
        RETURN NULL;
    END $$""",
    """CREATE FUNCTION intake_error(said bytea) RETURNS text LANGUAGE plpgsql AS $$
    BEGIN
        RETURN CAST(convert_from(said, 'UTF8') AS json) ->> 'message';
    EXCEPTION WHEN OTHERS THEN
        RETURN intake_text(said);
    END $$""",
    f"""CREATE FUNCTION follow_intake() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM 1 FROM intake WHERE id = NEW.id FOR NO KEY UPDATE SKIP LOCKED;
        IF NOT FOUND THEN
            INSERT INTO intake_owed (id) SELECT id FROM intake WHERE id = NEW.id
            ON CONFLICT DO NOTHING;
            RETURN NULL;
        END IF;
        UPDATE intake SET
            status = {_STATUS},
            attempts = {_ATTEMPTS},
            worker_id = NULLIF(NEW.worker, ''),
            processed_on = {_MOMENT.format("NEW.started_at")},
            finished_on = {_MOMENT.format("NEW.finished_at")},
            result = intake_text(NEW.result),
            error = intake_error(NEW.error),
            updated_at = to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.MS')
        WHERE id = NEW.id;
        RETURN NULL;
    END $$""",  # noqa: S608
    f"""CREATE TRIGGER intake_follows AFTER {_WHEN} FOR EACH ROW
    WHEN (NEW.origin = 'intake') EXECUTE FUNCTION follow_intake()""",
    """CREATE FUNCTION knock_for_intake() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM pg_notify('supervisor_intake', '');
        RETURN NULL;
    END $$""",
    """CREATE TRIGGER intake_entered AFTER INSERT ON intake
    FOR EACH STATEMENT EXECUTE FUNCTION knock_for_intake()""",
)
_POSTGRESQL_BACK = (
    "DROP TRIGGER intake_entered ON intake",
    "DROP TRIGGER intake_follows ON jobs",
    *(f"DROP FUNCTION {name}()" for name in ("knock_for_intake", "follow_intake")),
    *(f"DROP FUNCTION {name}(bytea)" for name in ("intake_error", "intake_text")),
)
