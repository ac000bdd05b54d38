"""Identify a dataset by its bytes and column types: the same bytes with other types are another dataset."""

import hashlib
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

DATASETS = sa.table(
    "datasets",
    sa.column("id", sa.String()),
    sa.column("sha256", sa.String()),
    sa.column("fingerprint", sa.String()),
    sa.column("columns", sa.JSON()),
)


def upgrade() -> None:
    op.add_column("datasets", sa.Column("fingerprint", sa.String(length=64), nullable=True))
    connection = op.get_bind()
    for row in connection.execute(sa.select(DATASETS.c.id, DATASETS.c.sha256, DATASETS.c.columns)).all():
        values = {"fingerprint": _fingerprint(row.sha256, row.columns)}
        connection.execute(sa.update(DATASETS).where(DATASETS.c.id == row.id).values(values))
    with op.batch_alter_table("datasets") as datasets:
        datasets.alter_column("fingerprint", existing_type=sa.String(length=64), nullable=False)
        datasets.drop_constraint(op.f("uq_datasets_sha256"), type_="unique")
        datasets.create_unique_constraint(op.f("uq_datasets_fingerprint"), ["fingerprint"])
        datasets.create_index(op.f("ix_datasets_sha256"), ["sha256"], unique=False)


def _fingerprint(sha256: str, schema: dict[str, Any]) -> str:
    """Return the fingerprint as `core.data.schema.Schema` computed it in this version."""
    read_as = [sha256, schema["format"], *(column["type"] for column in schema["columns"])]
    return hashlib.sha256(" ".join(read_as).encode()).hexdigest()
