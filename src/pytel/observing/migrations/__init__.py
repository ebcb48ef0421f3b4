"""The history of the database of tasks, as alembic revisions."""
