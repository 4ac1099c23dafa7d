"""Runs migrations on the connection it is given; Alembic executes this file by its place."""

from alembic import context

from supervisor.ledger.tables.columns import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,  # the caller's transaction: all migrations apply, or none
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
