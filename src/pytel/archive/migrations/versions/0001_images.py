"""The table of images."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the table and its indexes."""
    op.create_table(
        "images",
        sa.Column("id", sa.String(26), primary_key=True),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("night", sa.Date, nullable=False),
        sa.Column("path", sa.Text, nullable=False, unique=True),
        sa.Column("camera", sa.String, nullable=False),
        sa.Column("telescope", sa.String),
        sa.Column("frame_type", sa.String, nullable=False),
        sa.Column("filter", sa.String),
        sa.Column("exposure_time", sa.Float, nullable=False),
        sa.Column("start", sa.DateTime, nullable=False),
        sa.Column("end", sa.DateTime),
        sa.Column("object", sa.String),
        sa.Column("task", sa.String),
        sa.Column("exposure_index", sa.Integer),
        sa.Column("ra", sa.Float),
        sa.Column("dec", sa.Float),
        sa.Column("airmass", sa.Float),
        sa.Column("header", sa.Text, nullable=False),
        sa.Column("archived_at", sa.DateTime, nullable=False),
    )
    for column in ("sha256", "night", "start", "task"):
        op.create_index(f"ix_images_{column}", "images", [column])


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("images")
