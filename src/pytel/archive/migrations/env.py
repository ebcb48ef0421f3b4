"""Run by alembic for every upgrade, on the connection that `pytel.archive.schema` hands over."""

from alembic import context

from pytel.archive.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
