"""Rename columns and tables to the terms of the field, and give each dataset an owner, as each job has."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

RENAMED_JOB_COLUMNS = {
    "deaths": "lost_workers",
    "rung_at": "notified_at",
    "bytes": "memory_bytes",
    "inexact": "inexact_reason",
}
DEFAULT_OWNER = ""
"""As `core.store.scope.DEFAULT_OWNER` was when this was written."""


def upgrade() -> None:
    for old, new in RENAMED_JOB_COLUMNS.items():
        op.alter_column("jobs", old, new_column_name=new)
    _rename_worker_totals("worker_tallies", "worker_totals")
    with op.batch_alter_table("datasets") as datasets:
        datasets.add_column(sa.Column("owner", sa.Text(), nullable=False, server_default=DEFAULT_OWNER))
        datasets.drop_constraint(op.f("uq_datasets_fingerprint"), type_="unique")
        datasets.create_unique_constraint(op.f("uq_datasets_owner_fingerprint"), ["owner", "fingerprint"])
    with op.batch_alter_table("datasets") as datasets:
        datasets.alter_column("owner", existing_type=sa.Text(), server_default=None)


def downgrade() -> None:
    with op.batch_alter_table("datasets") as datasets:
        datasets.drop_constraint(op.f("uq_datasets_owner_fingerprint"), type_="unique")
        datasets.drop_column("owner")
        datasets.create_unique_constraint(op.f("uq_datasets_fingerprint"), ["fingerprint"])
    _rename_worker_totals("worker_totals", "worker_tallies")
    for old, new in RENAMED_JOB_COLUMNS.items():
        op.alter_column("jobs", new, new_column_name=old)


def _rename_worker_totals(old: str, new: str) -> None:
    op.rename_table(old, new)
    if op.get_bind().dialect.name == "postgresql":  # SQLite keeps a primary key's name inside the table
        op.execute(sa.text(f"ALTER INDEX pk_{old} RENAME TO pk_{new}"))
