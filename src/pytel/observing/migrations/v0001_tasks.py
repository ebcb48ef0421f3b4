"""Tasks and where they stand."""

import sqlalchemy as sa
from alembic import op

revision = "tasks_0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table of tasks."""
    op.create_table(
        "task",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("definition", sa.Text, nullable=False),
        sa.Column("priority", sa.Float, nullable=False),
        sa.Column("status", sa.String, nullable=False),
        sa.Column("done", sa.Float, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("changed", sa.Float, nullable=False),
    )
    op.create_index("task_status", "task", ["status"])


def downgrade() -> None:
    """Take the table away."""
    op.drop_table("task")
