"""Readers, one per file format: each infers the schema of an upload, and loads its columns and rows."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from numpy.typing import NDArray

from core.data.cells import quote
from core.data.errors import InvalidFile
from core.data.readers.archives.archive import ArchiveReader, Tar, Zip
from core.data.readers.contents import content_of
from core.data.readers.csv import Csv
from core.data.readers.csv.options import PARSERS as OPTION_PARSERS
from core.data.readers.json_records import JsonRecords
from core.data.readers.npy import Npy
from core.data.readers.npz import Npz
from core.data.readers.parquet import Parquet
from core.data.readers.reader import FileReader
from core.data.readers.sqlite import Sqlite
from core.data.readers.workbook import Workbook
from core.data.schema import Schema
from core.spelling import closest

READERS: Mapping[str, type[FileReader]] = MappingProxyType(
    {kind.format: kind for kind in (Csv, JsonRecords, Parquet, Workbook, Sqlite, Npy, Npz, Zip, Tar)}
)
"""Readers by the word for their format."""

HOW_TO_NAME_A_FORMAT = (
    "Name the format by ?format=csv (in a form: by the field format) or by the Content-Type: "
    + ", ".join(f"{word} ({kind.content_types[0]})" for word, kind in READERS.items())
)

OPTIONS: Mapping[str, str] = MappingProxyType(
    {
        "header": "Whether the first row of CSV names the columns: yes or no, or the names as a list of JSON.",
        "delimiter": "Between the cells of CSV: a sign, or comma, semicolon, tab, bar, or blanks for runs of blanks.",
        "quote": "Around the cells of CSV: a quotation mark, an apostrophe, or none.",
        "decimal": "The decimal sign of numbers in CSV: a point or a comma.",
        "thousands": "What groups the digits of numbers in CSV: a comma, a point, an apostrophe, blank, or none.",
        "skip_rows": "The number of lines above the table of CSV.",
        "comment": "What begins a line of CSV that is no row, such as #, or none.",
        "encoding": "The encoding of CSV, such as utf-8, utf-16 or windows-1252.",
        "missing": "The texts of missing values in CSV instead of the usual ones: between commas, or a list of JSON.",
        "date_format": "How dates in CSV are written, such as %d.%m.%Y %H:%M, or iso.",
        "sheet": "The sheet of a workbook; by default the first that has cells.",
        "table": "The table of an SQLite database; needed where it has several.",
    }
)
"""Options of readers that a client may set with an upload. Those of CSV are decided by the file where none is said."""

_BY_CONTENT_TYPE = {word: kind for kind in READERS.values() for word in kind.content_types}
_BY_SUFFIX = {suffix: kind for kind in READERS.values() for suffix in kind.suffixes}


def reader_of_upload(
    requested: str | None,
    file_name: str | None,
    content_type: str | None,
    head: bytes,
    options: Mapping[str, str] = MappingProxyType({}),
) -> FileReader:
    """Return the reader of the format that a client requests, or that follows from the file.

    The file's first bytes decide, then its content type, then its name. `options` are those of `OPTIONS` that the
    client sets. Raises `InvalidFile` for an unknown word or option, and where nothing decides.
    """
    named = None if requested is None else READERS.get(requested) or _BY_SUFFIX.get(f".{requested.lower()}")
    if requested is not None and named is None:
        meant = closest(requested, READERS)
        remedy = f"did you mean {meant}?" if meant else f"use one of {', '.join(READERS)}"
        raise InvalidFile(f"there is no format {quote(requested)}: {remedy}")
    content = content_of(head)
    # Archives come first: a compressed file that is none is a table.
    recognized = next((kind for kind in reversed(list(READERS.values())) if kind.recognizes(head)), None)
    kind = (
        named
        or recognized
        or _BY_CONTENT_TYPE.get((content_type or "").partition(";")[0].strip().lower())
        or _BY_SUFFIX.get(Path(file_name or "").suffix.lower())
    )
    if kind is None:
        seen = f"; it looks like {content.looks_like}: {content.remedy}" if content else ""
        raise InvalidFile(f"the format of the file is unknown{seen}. {HOW_TO_NAME_A_FORMAT}")
    if content is not None and head and not content.may_be_table and recognized is None:
        raise InvalidFile(f"the file looks like {content.looks_like}: {content.remedy}")
    return _with_options(kind, options)


def _with_options(kind: type[FileReader], options: Mapping[str, str]) -> FileReader:
    known = kind().options()
    for name in options:
        if name not in known:
            raise InvalidFile(f"{name} is no option of the format {kind.format}: leave it out")
    return kind(**{name: OPTION_PARSERS.get(name, str)(text) for name, text in options.items()})


def reader_of(schema: Schema) -> FileReader:
    """Return the reader that reads a file as its schema was inferred."""
    return READERS[schema.format].of(schema)


def is_table(schema: Schema) -> bool:
    """Return whether the rows of a dataset are records of single values, or else entries of arrays."""
    return READERS[schema.format].is_table


def is_archive(schema: Schema) -> bool:
    """Return whether the rows of a dataset are files, of which a column `label` says the class."""
    return issubclass(READERS[schema.format], ArchiveReader)


def load(path: Path, schema: Schema, names: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Return the named columns as arrays, at most 8 bytes a cell.

    Raises `InvalidFile` where the file does not match its schema.
    """
    return reader_of(schema).load(path, schema, [column for column in schema.columns if column.name in set(names)])


def rows(path: Path, schema: Schema, offset: int, limit: int) -> list[dict[str, Any]]:
    """Return a page of rows as stored, each an object by column, None for missing values."""
    return reader_of(schema).rows(path, schema, offset, limit)
