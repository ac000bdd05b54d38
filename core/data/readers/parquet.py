"""Reader of Parquet files, by DuckDB."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from core.data.cells import quote
from core.data.errors import InvalidFile
from core.data.readers.cell_table import CHUNK_CELLS, CellTable
from core.data.readers.tables.connection import NotReadable, locked_connection
from core.data.schema import Limits

REFUSED_TYPES = ("BLOB", "BIT", "GEOMETRY")
"""Types of columns without a text."""


@dataclass(frozen=True, slots=True)
class Parquet(CellTable):
    """Apache Parquet. Lists and structures are texts; dates and times are ISO texts."""

    format: ClassVar[str] = "parquet"
    content_types: ClassVar[tuple[str, ...]] = ("application/vnd.apache.parquet", "application/parquet")
    suffixes: ClassVar[tuple[str, ...]] = (".parquet", ".pq")

    @classmethod
    def recognizes(cls, head: bytes) -> bool:
        """Return whether these are the first bytes of a Parquet file."""
        return head.startswith(b"PAR1")

    def records(self, path: Path, limits: Limits) -> Iterator[list[str]]:
        """Yield the names of the columns, then the rows. Raises `InvalidFile`."""
        try:
            yield from self._records(path)
        except NotReadable as error:
            raise InvalidFile(f"the file cannot be read as Parquet: {str(error).splitlines()[0][:200]}") from None

    def _records(self, path: Path) -> Iterator[list[str]]:
        with locked_connection(path) as connection:
            source = connection.execute("SELECT * FROM read_parquet(?) LIMIT 0", [str(path)])
            columns = [(str(name), str(kind)) for name, kind, *_ in source.description or ()]
            for name, kind in columns:
                if kind in REFUSED_TYPES:
                    message = f"column {quote(name)} has values of type {kind}, which are no numbers or texts"
                    raise InvalidFile(f"{message}: leave it out")
            yield [name for name, _ in columns]
            result = connection.execute("SELECT COLUMNS(*)::VARCHAR FROM read_parquet(?)", [str(path)])
            while rows := result.fetchmany(max(1, CHUNK_CELLS // max(1, len(columns)))):
                yield from ([value or "" for value in row] for row in rows)
