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
from core.data.readers.npy import Npy
from core.data.readers.npz import Npz
from core.data.readers.reader import FileReader
from core.data.schema import Schema
from core.spelling import closest

READERS: Mapping[str, type[FileReader]] = MappingProxyType({kind.format: kind for kind in (Csv, Npy, Npz, Zip, Tar)})
"""Readers by the word for their format."""

HOW_TO_NAME_A_FORMAT = (
    "Name the format by ?format=csv (in a form: by the field format) or by the Content-Type: "
    + ", ".join(f"{word} ({kind.content_types[0]})" for word, kind in READERS.items())
)

_BY_CONTENT_TYPE = {word: kind for kind in READERS.values() for word in kind.content_types}
_BY_SUFFIX = {suffix: kind for kind in READERS.values() for suffix in kind.suffixes}


def reader_of_upload(requested: str | None, file_name: str | None, content_type: str | None, head: bytes) -> FileReader:
    """Return the reader of the format that a client requests, or that follows from the file.

    The file's first bytes decide, then its content type, then its name. Raises `InvalidFile` for an unknown word, and
    where nothing decides.
    """
    if requested is not None and requested not in READERS:
        meant = closest(requested, READERS)
        remedy = f"did you mean {meant}?" if meant else f"use one of {', '.join(READERS)}"
        raise InvalidFile(f"there is no format {quote(requested)}: {remedy}")
    content = content_of(head)
    recognized = next((kind for kind in READERS.values() if kind.recognizes(head)), None)
    kind = (
        READERS.get(requested or "")
        or recognized
        or _BY_CONTENT_TYPE.get((content_type or "").partition(";")[0].strip().lower())
        or _BY_SUFFIX.get(Path(file_name or "").suffix.lower())
    )
    if kind is None:
        seen = f"; it looks like {content.looks_like}: {content.remedy}" if content else ""
        raise InvalidFile(f"the format of the file is unknown{seen}. {HOW_TO_NAME_A_FORMAT}")
    if content is not None and head and not content.may_be_table and recognized is None:
        raise InvalidFile(f"the file looks like {content.looks_like}: {content.remedy}")
    return kind()


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
