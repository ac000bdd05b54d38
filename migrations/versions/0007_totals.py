"""Count what jobs and datasets take in total, and let large specs be blobs."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

JOB_AMOUNTS = ("spec_bytes", "checkpoint_bytes", "metric_rows")
SPEC_BYTES = {"sqlite": "length(CAST(json AS BLOB))", "postgresql": "octet_length(json)"}


def upgrade() -> None:
    for name in JOB_AMOUNTS:
        op.add_column("jobs", sa.Column(name, sa.BigInteger(), nullable=False, server_default="0"))
    op.drop_index(op.f("ix_jobs_next"), "jobs")
    op.create_index(
        op.f("ix_jobs_next"), "jobs", ["status", "owner", "priority", "created_at", "id", "spec_bytes"], unique=False
    )
    op.add_column("specs", sa.Column("sha256", sa.String(length=64), nullable=True))
    op.create_index(op.f("ix_specs_sha256"), "specs", ["sha256"], unique=False)
    op.create_index(op.f("ix_idempotency_keys_job_id"), "idempotency_keys", ["job_id"], unique=False)
    amounts = ("jobs", *JOB_AMOUNTS, "datasets", "dataset_bytes")
    op.create_table(
        "totals",
        sa.Column("owner", sa.Text(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in amounts),
        sa.PrimaryKeyConstraint("owner", name=op.f("pk_totals")),
    )
    _count()


def _count() -> None:
    """Fill the new columns of jobs. The API counts the totals when it starts, as `core.store.totals.recount`."""
    size = SPEC_BYTES[op.get_bind().dialect.name]
    op.execute(
        sa.text(
            f"UPDATE jobs SET metric_rows = recorded, "  # noqa: S608 - our own text
            f"spec_bytes = COALESCE((SELECT {size} FROM specs WHERE specs.job_id = jobs.id), 0), "
            "checkpoint_bytes = COALESCE((SELECT SUM(bytes) FROM checkpoints WHERE checkpoints.job_id = jobs.id), 0)"
        )
    )
