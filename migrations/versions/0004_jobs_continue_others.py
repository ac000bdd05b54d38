"""Store which job a job continues, and why its results may differ from those of one long job."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("continues", sa.String(length=40), nullable=True))
    op.add_column("jobs", sa.Column("inexact", sa.Text(), nullable=True))
