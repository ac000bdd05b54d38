"""Check that the database can be written, and leave no trace there: for readiness."""

from sqlalchemy import text

from core.store.database import Database

STATEMENTS = {
    "sqlite": ("UPDATE alembic_version SET version_num = version_num",),
    "postgresql": (
        "SET LOCAL lock_timeout = '1s'",
        "SET LOCAL work_mem = '64kB'",
        "UPDATE alembic_version SET version_num = version_num",
        # More rows than fit in work_mem: the server writes them to a temporary file, which a full disk refuses. The
        # update does not show that, since it needs no new page.
        "SELECT count(*) FROM generate_series(1, 20000)",
    ),
}
"""Statements of one short transaction, which is committed: SQLite writes to its disk only then."""


def check_writable(database: Database) -> None:
    """Write the migration's number over itself; the table does not grow. Raise the error by which a write fails."""
    with database.engine.begin() as connection:
        for statement in STATEMENTS[connection.dialect.name]:
            connection.execute(text(statement))
