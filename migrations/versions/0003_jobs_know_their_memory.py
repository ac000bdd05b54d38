"""Store the estimated memory of a job, for the worker that claims it and for messages about lost workers."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("bytes", sa.BigInteger(), nullable=True))
