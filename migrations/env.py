"""Run by `tams.repository.sql.migrate`, which gives the connection and has begun the transaction."""

from alembic import context

from tams.repository.sql.models import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
