"""Brings a database to the tables of this program, and says whether it is there. One history serves both databases."""

from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from core.store.errors import WrongRevision
from core.store.sessions import open_sessions
from core.store.tables import Base

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
    sessions = open_sessions(url)
    try:
        with sessions.engine.begin() as connection:
            for statement in ALONE[connection.dialect.name]:
                connection.execute(text(statement))
            command.upgrade(_config(connection), "head")
    finally:
        sessions.close()


def revision_state(engine: Engine) -> Revision:
    """Which migration the database is at; asks the database."""
    with engine.connect() as connection:
        found = MigrationContext.configure(connection).get_current_revision()
    return Revision(found, _head())


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
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        return [str(difference) for difference in compare_metadata(context, Base.metadata)]


def configure(context: Any, connection: Connection) -> None:
    """Tell Alembic's environment of our tables."""
    context.configure(connection=connection, target_metadata=Base.metadata, compare_type=True, transactional_ddl=True)


def _config(connection: Connection | None = None) -> Config:
    # Found by the package's name, so that it works from a wheel and in any folder.
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(files("migrations")).replace("%", "%%"))
    return config


def _head() -> str:
    return str(ScriptDirectory.from_config(_config()).get_current_head())
