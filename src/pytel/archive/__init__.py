"""Images kept: the store that modules hand new images to, and the archive that keeps them for good.

`files` is the directory of the store, `tree` the archive's directories by night, `database` its index (SQLite through
SQLAlchemy, schema by alembic). SQLAlchemy is imported only when a database is opened, so the store stays small.
"""
