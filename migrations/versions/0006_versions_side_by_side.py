"""A job has the version that can train it and what computed it; versions that write to the database are recorded."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("vocabulary", "arithmetic"):
        op.add_column("jobs", sa.Column(name, sa.Integer(), nullable=False, server_default="0"))
    op.add_column("jobs", sa.Column("version", sa.Text(), nullable=True))
    op.add_column("jobs", sa.Column("computed_with", sa.Text(), nullable=True))
    op.add_column("jobs", sa.Column("reproducible", sa.Boolean(), nullable=True))
    op.create_table(
        "service_versions",
        sa.Column("part", sa.String(length=10), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("vocabulary", sa.Integer(), nullable=False),
        sa.Column("arithmetic", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("part", "version", name=op.f("pk_service_versions")),
    )
