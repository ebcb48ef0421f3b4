"""Images that were made of others: at which level, and of which raw one."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
_COUNTS = sa.text("reduction_level = 'reduced'")


def upgrade() -> None:
    """Add the columns; what is there is raw."""
    op.add_column("images", sa.Column("reduction_level", sa.String, nullable=False, server_default="raw"))
    op.add_column("images", sa.Column("raw", sa.String(26)))
    op.create_index("ix_images_raw", "images", ["raw"])
    op.create_index("ix_images_reduced", "images", ["raw"], unique=True, sqlite_where=_COUNTS, postgresql_where=_COUNTS)


def downgrade() -> None:
    """Drop them."""
    op.drop_index("ix_images_reduced", "images")
    op.drop_index("ix_images_raw", "images")
    op.drop_column("images", "raw")
    op.drop_column("images", "reduction_level")
