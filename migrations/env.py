"""How Alembic runs the migrations: on the connection it was handed, or on the database that the settings name."""

from alembic import context
from sqlalchemy import Connection

from core.settings import read_settings
from core.store.database import open_database
from core.store.migrate import configure


def _migrate(connection: Connection) -> None:
    configure(context, connection)
    with context.begin_transaction():
        context.run_migrations()


handed = context.config.attributes.get("connection")
if handed is not None:
    _migrate(handed)
else:
    with open_database(read_settings().resolved_database_url).engine.connect() as own:
        _migrate(own)
        own.commit()
