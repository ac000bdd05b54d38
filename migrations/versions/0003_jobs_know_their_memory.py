"""A job's row has what its training was estimated to need, so that who claims it, or loses it, can say so."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("bytes", sa.BigInteger(), nullable=True))
