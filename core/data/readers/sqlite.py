"""Reader of a table of an SQLite database, by Python's sqlite3: read-only, and nothing but one table."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from core.data.cells import quote, quote_names
from core.data.errors import InvalidFile
from core.data.readers.cell_table import CHUNK_CELLS, CellTable, text_of
from core.data.schema import Limits

ALLOWED = frozenset([sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ])
"""What a statement may do: no pragmas, attached files or writes."""
MAX_TABLES = 1000
MAX_SQL_BYTES = 2**20
TABLES = "SELECT type, name, sql FROM sqlite_master LIMIT ?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sqlite(CellTable):
    """A table of an SQLite database; views and virtual tables are not read."""

    table: str | None = None
    """The name of the table; it may be left out where there is one."""

    format: ClassVar[str] = "sqlite"
    content_types: ClassVar[tuple[str, ...]] = ("application/vnd.sqlite3", "application/x-sqlite3")
    suffixes: ClassVar[tuple[str, ...]] = (".sqlite", ".sqlite3", ".db")

    @classmethod
    def recognizes(cls, head: bytes) -> bool:
        """Return whether these are the first bytes of an SQLite database."""
        return head.startswith(b"SQLite format 3\x00")

    def records(self, path: Path, limits: Limits) -> Iterator[list[str]]:
        """Yield the names of the columns, then the rows, in the order of the table. Raises `InvalidFile`."""
        try:
            # `immutable` keeps SQLite from locks, journals and other files beside this one.
            uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
            with closing(sqlite3.connect(uri, uri=True, cached_statements=0)) as database:
                _restrict(database, limits)
                yield from self._records(database)
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise InvalidFile(f"the file cannot be read as an SQLite database ({str(error)[:200]})") from None

    def _records(self, database: sqlite3.Connection) -> Iterator[list[str]]:
        found = database.execute(TABLES, [MAX_TABLES])
        name = self._name(
            [str(name) for kind, name, sql in found if kind == "table" and _is_plain(str(name), str(sql))]
        )
        quoted = '"' + name.replace('"', '""') + '"'
        cursor = database.execute(f"SELECT * FROM {quoted}")  # noqa: S608 - a name of the database, quoted
        names = [str(column) for column, *_ in cursor.description]
        yield names
        size, number = max(1, CHUNK_CELLS // len(names)), 0
        while rows := cursor.fetchmany(size):
            for row in rows:
                number += 1
                yield [_text(value, number, column) for value, column in zip(row, names, strict=True)]

    def _name(self, names: list[str]) -> str:
        """Return the name of the table to read. Raises `InvalidFile`."""
        if not names:
            raise InvalidFile("the database has no tables: send one with rows of values")
        if self.table is None and len(names) > 1:
            raise InvalidFile(f"the database has the tables {quote_names(names)}: name one with ?table=")
        if self.table is not None and self.table not in names:
            raise InvalidFile(f"there is no table {quote(self.table)}: the database has {quote_names(names)}")
        return self.table or names[0]


def _is_plain(name: str, sql: str) -> bool:
    """Return whether a table has rows of its own that are a client's."""
    return not name.startswith("sqlite_") and not sql.upper().startswith("CREATE VIRTUAL")


def _text(value: Any, number: int, column: str) -> str:
    if isinstance(value, bytes):
        found = f"row {number}, column {quote(column)} has bytes, which are no number or text"
        raise InvalidFile(f"{found}: leave the column out")
    return text_of(value)


def _restrict(database: sqlite3.Connection, limits: Limits) -> None:
    """Bound what a database can do, as its file may have been made to harm."""
    database.execute("PRAGMA trusted_schema = OFF")
    database.execute("PRAGMA cell_size_check = ON")
    database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, max(limits.record_bytes, MAX_SQL_BYTES))
    database.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    database.set_authorizer(lambda action, *_: sqlite3.SQLITE_OK if action in ALLOWED else sqlite3.SQLITE_DENY)
