"""Readers of archives of files: a column `file`, and what folders or a table in the archive say of each file.

The archive stays as it was uploaded. Its list of files is read again each time, which takes a tenth of a second for ten
thousand; each file is read when it is needed.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from core.data.cells import quote, quote_names
from core.data.column_statistics import ColumnStatistics
from core.data.errors import InvalidFile
from core.data.files.values import FileValue
from core.data.readers.archives.kinds import FILE, FILE_KINDS, FileKind
from core.data.readers.archives.rows import LABEL, PART, Rows, rows_of
from core.data.readers.archives.tar_members import is_tar, tar_members
from core.data.readers.archives.zip_members import zip_members
from core.data.readers.cell_table import PARSERS, to_json
from core.data.readers.contents import content_of
from core.data.readers.npz import Npz
from core.data.schema import Column, ColumnType, Limits, Schema

WORDS = (LABEL, PART)
"""Columns that come from folders: classes, even where they are numbers."""


class Named(NamedTuple):
    """What is kept of a file that was read: its name."""

    name: str


class ArchiveReader:
    """What readers of zip and tar files share."""

    format: ClassVar[str]
    is_table: ClassVar[bool] = True

    @staticmethod
    def members(path: Path, limits: Limits) -> Iterator[FileValue]:
        """Yield the files of an archive. Raises `InvalidFile`."""
        raise NotImplementedError

    @classmethod
    def of(cls, schema: Schema) -> Self:
        """Return the reader; it has no options."""
        return cls()

    def options(self) -> dict[str, Any]:
        """Return no options."""
        return {}

    def infer_schema(self, path: Path, types: Mapping[str, ColumnType], limits: Limits) -> Schema:
        """Return the schema of an archive; each file is decoded once. Raises `InvalidFile`, naming the file."""
        kinds: dict[ColumnType, FileKind] = {}

        def visit(kind: ColumnType, value: FileValue) -> Named:
            kinds.setdefault(kind, FILE_KINDS[kind]()).add(value)
            return Named(value.name)

        rows = rows_of(type(self).members(path, limits), limits, visit)
        for name in types:
            if name not in rows.cells:
                found = f"the archive has {quote_names(list(rows.cells))} beside its files"
                raise InvalidFile(f"types names a column {quote(name)}, and {found}")
        files = kinds[rows.kind].column(len(rows.files))
        others = [_column(name, cells, types, limits) for name, cells in rows.cells.items()]
        return Schema(format=self.format, rows=len(rows.files), columns=(files, *others))

    def load(self, path: Path, schema: Schema, columns: Sequence[Column]) -> dict[str, NDArray[Any]]:
        """Return columns by name; files are an object array, read when they are encoded."""
        rows = self._rows(path, schema)
        return {column.name: _loaded(rows, column) for column in columns}

    def rows(self, path: Path, schema: Schema, offset: int, limit: int) -> list[dict[str, Any]]:
        """Return a page of rows: of files the names, of other columns the values."""
        rows = self._rows(path, schema)
        end = offset + limit
        page: list[dict[str, Any]] = [{FILE: file.name} for file in rows.files[offset:end]]
        for column in schema.columns[1:]:
            for record, cell in zip(page, rows.cells[column.name][offset:end], strict=True):
                record[column.name] = to_json(cell.strip(), column)
        return page

    def _rows(self, path: Path, schema: Schema) -> Rows:
        rows = rows_of(type(self).members(path, Limits()), Limits(), lambda _, value: value)
        if len(rows.files) != schema.rows or [FILE, *rows.cells] != [column.name for column in schema.columns]:
            raise InvalidFile("the archive has other files than when it was uploaded")
        return rows


@dataclass(frozen=True, slots=True)
class Zip(ArchiveReader):
    """Zip files, of which members are deflated or stored."""

    format: ClassVar[str] = "zip"
    content_types: ClassVar[tuple[str, ...]] = ("application/zip", "application/x-zip-compressed")
    suffixes: ClassVar[tuple[str, ...]] = (".zip",)
    members = staticmethod(zip_members)

    @classmethod
    def recognizes(cls, head: bytes) -> bool:
        """Return whether these are the first bytes of a zip file that is neither .npz nor an office document."""
        return head.startswith(b"PK\x03\x04") and not Npz.recognizes(head) and content_of(head) is None


@dataclass(frozen=True, slots=True)
class Tar(ArchiveReader):
    """Tar files, plain or compressed by gzip."""

    format: ClassVar[str] = "tar"
    content_types: ClassVar[tuple[str, ...]] = ("application/x-tar", "application/gzip", "application/x-gzip")
    suffixes: ClassVar[tuple[str, ...]] = (".tar", ".tgz")
    members = staticmethod(tar_members)

    @classmethod
    def recognizes(cls, head: bytes) -> bool:
        """Return whether these are the first bytes of a tar file."""
        return is_tar(head)


def _column(name: str, cells: list[str], types: Mapping[str, ColumnType], limits: Limits) -> Column:
    requested = types.get(name, "category" if name in WORDS else None)
    statistics = ColumnStatistics(name, requested, limits, limits.categories)
    statistics.add(cells)
    return statistics.column()


def _loaded(rows: Rows, column: Column) -> NDArray[Any]:
    if column.name == FILE:
        return FILE_KINDS[rows.kind].load(rows.files)
    parser = PARSERS[column.type](column)
    return np.array(parser.parse([cell.strip() for cell in rows.cells[column.name]]), parser.dtype)
