"""Migrate a database to this program's tables, and check that it is. One history serves SQLite and PostgreSQL.

Functions that need Alembic import it: API and workers only read the revision, and an import costs 7 MB and 0.2 s.
"""

from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from sqlalchemy import Connection, Engine, column, inspect, select, table, text

from core.store.database import READ_ONLY, open_database
from core.store.errors import WrongRevision
from core.store.tables import Base

HEAD_REVISION = "0008"
"""The newest migration, which makes this program's tables."""

MIGRATION_LOCK = {
    # An immediate transaction has SQLite's one write lock already.
    "sqlite": (),
    "postgresql": (
        "SET LOCAL statement_timeout = 0",
        "SET LOCAL lock_timeout = 0",
        "SELECT pg_advisory_xact_lock(7213495820146)",
    ),
}
"""Statements that let one migration run at a time on a database."""

VERSION = table("alembic_version", column("version_num"))


@dataclass(frozen=True)
class Revision:
    """The migration that a database is at, and the one that this program needs."""

    found: str | None
    wanted: str

    @property
    def at_head(self) -> bool:
        """True if both revisions are the same."""
        return self.found == self.wanted


def upgrade(url: str) -> None:
    """Migrate the database at `url` to the newest revision; harmless to repeat, and from several processes at once."""
    from alembic import command  # noqa: PLC0415 - see above

    database = open_database(url)
    try:
        with database.engine.begin() as connection:
            for statement in MIGRATION_LOCK[connection.dialect.name]:
                connection.execute(text(statement))
            command.upgrade(config(connection), "head")
    finally:
        database.close()


def revision_state(engine: Engine) -> Revision:
    """Read which migration the database is at."""
    with engine.execution_options(**READ_ONLY).connect() as connection:
        made = inspect(connection).has_table(VERSION.name)
        found = connection.execute(select(VERSION.c.version_num)).scalar_one_or_none() if made else None
    return Revision(found, HEAD_REVISION)


def require_head(engine: Engine) -> None:
    """Check that the database is at this program's migration.

    Raises
    ------
    WrongRevision
        If it is at another; the message names the command to run.
    """
    state = revision_state(engine)
    if not state.at_head:
        raise WrongRevision(state.found, state.wanted)


def drift(engine: Engine) -> list[str]:
    """Return the differences between the database's tables and those of `tables.py`; none if the migrations agree."""
    from alembic.autogenerate import compare_metadata  # noqa: PLC0415 - see above
    from alembic.migration import MigrationContext  # noqa: PLC0415 - see above

    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        return [str(difference) for difference in compare_metadata(context, Base.metadata)]


def configure(context: Any, connection: Connection) -> None:
    """Configure Alembic's environment with this program's tables."""
    context.configure(connection=connection, target_metadata=Base.metadata, compare_type=True, transactional_ddl=True)


def config(connection: Connection | None = None) -> Any:
    """Return Alembic's configuration; the scripts are found by package name, also in a wheel and from any folder."""
    from alembic.config import Config  # noqa: PLC0415 - see above

    made = Config(attributes={"connection": connection})
    made.set_main_option("script_location", str(files("migrations")).replace("%", "%%"))
    return made
