"""Runs the migrations of any of pytel's databases on the connection that `open_database` hands over."""

from alembic import context

connection = context.config.attributes["connection"]
context.configure(connection=connection, render_as_batch=True)
context.run_migrations()
