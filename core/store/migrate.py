"""Brings a database to the tables of this program, and says whether it is there. One history serves both databases.

Alembic is imported where it works: each API and worker asks for the revision, and would pay 7 MB and 0.2 s for it.
"""

from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from sqlalchemy import Connection, Engine, column, inspect, select, table, text

from core.store.database import LOOKING, open_database
from core.store.errors import WrongRevision
from core.store.tables import Base

WANTED = "0005"
"""The newest migration, which the tables of this program are made by."""

ALONE = {
    # An immediate transaction has SQLite's one write lock already.
    "sqlite": (),
    "postgresql": (
        "SET LOCAL statement_timeout = 0",
        "SET LOCAL lock_timeout = 0",
        "SELECT pg_advisory_xact_lock(7213495820146)",
    ),
}
"""What makes a migration the only one that runs on its database."""

VERSION = table("alembic_version", column("version_num"))


@dataclass(frozen=True)
class Revision:
    """Which migration a database is at, and which this program needs."""

    found: str | None
    wanted: str

    @property
    def at_head(self) -> bool:
        """Whether program and database fit."""
        return self.found == self.wanted


def upgrade(url: str) -> None:
    """Migrate the database at `url` to the newest revision; harmless where it is there, or where others do the same."""
    from alembic import command  # noqa: PLC0415 - see above

    database = open_database(url)
    try:
        with database.engine.begin() as connection:
            for statement in ALONE[connection.dialect.name]:
                connection.execute(text(statement))
            command.upgrade(config(connection), "head")
    finally:
        database.close()


def revision_state(engine: Engine) -> Revision:
    """Which migration the database is at; asks the database."""
    with engine.execution_options(**LOOKING).connect() as connection:
        made = inspect(connection).has_table(VERSION.name)
        found = connection.execute(select(VERSION.c.version_num)).scalar_one_or_none() if made else None
    return Revision(found, WANTED)


def require_head(engine: Engine) -> None:
    """Return where program and database fit.

    Raises
    ------
    WrongRevision
        otherwise, with the command that helps.
    """
    state = revision_state(engine)
    if not state.at_head:
        raise WrongRevision(state.found, state.wanted)


def drift(engine: Engine) -> list[str]:
    """How the database's tables differ from those of `tables.py`; empty when the migrations tell the same."""
    from alembic.autogenerate import compare_metadata  # noqa: PLC0415 - see above
    from alembic.migration import MigrationContext  # noqa: PLC0415 - see above

    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        return [str(difference) for difference in compare_metadata(context, Base.metadata)]


def configure(context: Any, connection: Connection) -> None:
    """Tell Alembic's environment of our tables."""
    context.configure(connection=connection, target_metadata=Base.metadata, compare_type=True, transactional_ddl=True)


def config(connection: Connection | None = None) -> Any:
    """Alembic's configuration, found by the package's name, so that it works from a wheel and in any folder."""
    from alembic.config import Config  # noqa: PLC0415 - see above

    made = Config(attributes={"connection": connection})
    made.set_main_option("script_location", str(files("migrations")).replace("%", "%%"))
    return made
