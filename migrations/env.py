"""Run the migrations (called by Alembic): on the given connection, or on the database of the settings."""

from alembic import context
from sqlalchemy import Connection

from core.settings import read_settings
from core.store.database import open_database
from core.store.migrate import configure


def _migrate(connection: Connection) -> None:
    configure(context, connection)
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    _migrate(given)
else:
    with open_database(read_settings().resolved_database_url).engine.connect() as own:
        _migrate(own)
        own.commit()
