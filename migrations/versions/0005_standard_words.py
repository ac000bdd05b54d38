"""Columns and tables get the field's words: a worker is lost, workers are notified, counts are totals."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column("jobs", "deaths", new_column_name="lost_workers")
    op.alter_column("jobs", "rung_at", new_column_name="notified_at")
    op.rename_table("worker_tallies", "worker_totals")
    if op.get_bind().dialect.name == "postgresql":  # SQLite keeps a primary key's name inside the table
        op.execute(sa.text("ALTER INDEX pk_worker_tallies RENAME TO pk_worker_totals"))


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(sa.text("ALTER INDEX pk_worker_totals RENAME TO pk_worker_tallies"))
    op.rename_table("worker_totals", "worker_tallies")
    op.alter_column("jobs", "notified_at", new_column_name="rung_at")
    op.alter_column("jobs", "lost_workers", new_column_name="deaths")
