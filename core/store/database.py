"""Connections to the database: `begin()` to write, `read()` to read. Each process opens its own `Database`."""

import json
import math
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.orm import Session, sessionmaker

from core.store.errors import NetworkFileSystem

MOUNTS = Path("/proc/self/mounts")
NETWORK_FILE_SYSTEMS = frozenset(
    {"9p", "afs", "ceph", "cifs", "fuse.glusterfs", "fuse.sshfs", "glusterfs", "nfs", "nfs4", "smb3", "smbfs"}
)
SETUP_TIMEOUT_SECONDS = 10.0
"""Seconds to wait for another process that sets up the same SQLite file."""
PRAGMAS = ("busy_timeout = 10000", "journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON")
READ_ONLY = {"begin": "BEGIN"}
"""Execution options of a connection that only reads: on SQLite it does not wait for writers."""
AUTOCOMMIT = {"begin": ""}
"""Execution options of a connection for single statements, each its own transaction."""
SESSION_OPTIONS = {"populate_existing": True, "synchronize_session": False}
"""Objects of a session show what the database returned last, and bulk statements do not change them in memory."""
POSTGRES_CONNECT_ARGS = {
    "connect_timeout": 5,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "options": "-c lock_timeout=5s -c statement_timeout=30s -c idle_in_transaction_session_timeout=60s",
}


class Database(sessionmaker[Session]):
    """A factory of sessions: `with database.begin() as s:` commits at its end; `with database.read() as s:` reads."""

    def __init__(self, engine: Engine, reading: Engine) -> None:
        super().__init__(engine, autoflush=False, expire_on_commit=False, execution_options=SESSION_OPTIONS)
        self.engine = engine
        self._reading = reading
        self._autocommit = reading.execution_options(**AUTOCOMMIT)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Open a session that only reads: a snapshot on SQLite, statements without a transaction on PostgreSQL."""
        with self(bind=self._reading) as session:
            yield session

    @contextmanager
    def read_connection(self) -> Iterator[Connection]:
        """Open a connection for one statement that only reads columns, which costs less than a session."""
        with self._autocommit.connect() as connection:
            yield connection

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def open_database(url: str, *, pool_size: int = 10) -> Database:
    """Return the database at `url`; it connects at the first use.

    Raises
    ------
    NetworkFileSystem
        If it is an SQLite file on a file system where SQLite's locks and shared memory do not work.
    """
    address = make_url(url)
    return OPENERS[address.get_backend_name()](address, pool_size)


def _open_sqlite(url: URL, pool_size: int) -> Database:
    _refuse_network(Path(url.database or "").absolute())
    engine = create_engine(url, pool_size=pool_size, max_overflow=40, json_serializer=dumps)
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return Database(engine, engine.execution_options(**READ_ONLY))


def _open_postgresql(url: URL, pool_size: int) -> Database:
    engine = create_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_pre_ping=True,
        connect_args=POSTGRES_CONNECT_ARGS,
        json_serializer=dumps,
    )
    return Database(engine, engine.execution_options(isolation_level="AUTOCOMMIT"))


OPENERS = {"sqlite": _open_sqlite, "postgresql": _open_postgresql}


def _set_up_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    # Python's own BEGIN comes late and is never IMMEDIATE; `_begin_sqlite` sends ours.
    connection.isolation_level = None
    until = time.monotonic() + SETUP_TIMEOUT_SECONDS
    for pragma in PRAGMAS:
        while not _set_pragma(connection, pragma, last=time.monotonic() > until):
            time.sleep(0.01)


def _set_pragma(connection: sqlite3.Connection, pragma: str, *, last: bool) -> bool:
    """Set a pragma and return True; False where another process is turning the same new file to WAL.

    SQLite reports that conflict at once, whatever the busy timeout. The `last` attempt raises it.
    """
    try:
        connection.execute(f"PRAGMA {pragma}").close()
    except sqlite3.OperationalError:
        if last:
            raise
        return False
    return True


def _begin_sqlite(connection: Connection) -> None:
    # A deferred transaction that starts to write fails at once if another wrote meanwhile; an immediate one waits.
    if statement := connection.get_execution_options().get("begin", "BEGIN IMMEDIATE"):
        connection.exec_driver_sql(statement)


def _refuse_network(path: Path) -> None:
    try:
        lines = MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    mounts = [line.replace("\\040", "\0").split(" ")[1:3] for line in lines]
    above = [(len(where), kind) for where, kind in mounts if path.resolve().is_relative_to(where.replace("\0", " "))]
    kind = max(above, default=(0, ""))[1]
    if kind in NETWORK_FILE_SYSTEMS:
        raise NetworkFileSystem(str(path), kind)


def dumps(value: Any) -> str:
    """Return JSON text as the store keeps it; a float that is not finite becomes its name as a string."""
    try:
        return json.dumps(value, allow_nan=False, separators=(",", ":"))
    except ValueError:
        return json.dumps(_with_names(value), allow_nan=False, separators=(",", ":"))


def nonfinite_name(value: float) -> str | None:
    """Return nan, inf or -inf for a float that is not finite, else None."""
    return None if math.isfinite(value) else repr(float(value))


def _with_names(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _with_names(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_with_names(inner) for inner in value]
    return (nonfinite_name(value) or value) if isinstance(value, float) else value
