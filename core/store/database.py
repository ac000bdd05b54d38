"""Doors to the database: `begin()` for who writes, `read()` for who only looks. Each process opens its own."""

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
NETWORKED = frozenset(
    {"9p", "afs", "ceph", "cifs", "fuse.glusterfs", "fuse.sshfs", "glusterfs", "nfs", "nfs4", "smb3", "smbfs"}
)
PATIENCE = 10.0
"""Seconds to wait for another process that sets the same file up."""
PRAGMAS = ("busy_timeout = 10000", "journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON")
LOOKING = {"begin": "BEGIN"}
"""Of a connection that only reads: on SQLite it then waits for no writer."""
ASKING = {"begin": ""}
"""Of a connection for a single statement, which is a transaction by itself."""
FRESH = {"populate_existing": True, "synchronize_session": False}
"""Rows show what the database answered last; statements change no row behind its back."""
POSTGRES = {
    "connect_timeout": 5,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "options": "-c lock_timeout=5s -c statement_timeout=30s -c idle_in_transaction_session_timeout=60s",
}


class Database(sessionmaker[Session]):
    """`with database.begin() as s:` commits at its end; `with database.read() as s:` only looks."""

    def __init__(self, engine: Engine, reading: Engine) -> None:
        super().__init__(engine, autoflush=False, expire_on_commit=False, execution_options=FRESH)
        self.engine = engine
        self._reading = reading
        self._asking = reading.execution_options(**ASKING)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session that only reads: a snapshot on SQLite, single statements without a transaction on PostgreSQL."""
        with self(bind=self._reading) as session:
            yield session

    @contextmanager
    def ask(self) -> Iterator[Connection]:
        """A connection for a single statement that only reads columns, which costs less than a session."""
        with self._asking.connect() as connection:
            yield connection

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def open_database(url: str, *, pool_size: int = 10) -> Database:
    """Sessions on the database at `url`; connects at the first use.

    Raises
    ------
    NetworkFileSystem
        an SQLite file where its locks and its shared memory do not work.
    """
    address = make_url(url)
    return OPENERS[address.get_backend_name()](address, pool_size)


def _open_sqlite(url: URL, pool_size: int) -> Database:
    _refuse_network(Path(url.database or "").absolute())
    engine = create_engine(url, pool_size=pool_size, max_overflow=40, json_serializer=dumps)
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return Database(engine, engine.execution_options(**LOOKING))


def _open_postgresql(url: URL, pool_size: int) -> Database:
    engine = create_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_pre_ping=True,
        connect_args=POSTGRES,
        json_serializer=dumps,
    )
    return Database(engine, engine.execution_options(isolation_level="AUTOCOMMIT"))


OPENERS = {"sqlite": _open_sqlite, "postgresql": _open_postgresql}


def _set_up_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # Python's own BEGIN comes late and is never IMMEDIATE: ours is sent below
    until = time.monotonic() + PATIENCE
    for pragma in PRAGMAS:
        while not _done(connection, pragma, last=time.monotonic() > until):
            time.sleep(0.01)


def _done(connection: sqlite3.Connection, pragma: str, *, last: bool) -> bool:
    """Whether the pragma was taken: two that turn a new file to WAL at once are told so, whatever the busy timeout."""
    try:
        connection.execute(f"PRAGMA {pragma}").close()
    except sqlite3.OperationalError:
        if last:
            raise
        return False
    return True


def _begin_sqlite(connection: Connection) -> None:
    # A deferred transaction that turns writer fails at once when another wrote meanwhile; an immediate one waits.
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
    if kind in NETWORKED:
        raise NetworkFileSystem(str(path), kind)


def dumps(value: Any) -> str:
    """JSON text as the store keeps it: a number that is not finite stands as its word."""
    try:
        return json.dumps(value, allow_nan=False, separators=(",", ":"))
    except ValueError:
        return json.dumps(_worded(value), allow_nan=False, separators=(",", ":"))


def word(value: float) -> str | None:
    """nan, inf or -inf for a number that is not finite."""
    return None if math.isfinite(value) else repr(float(value))


def _worded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _worded(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_worded(inner) for inner in value]
    return (word(value) or value) if isinstance(value, float) else value
