"""The formats of an upload, one reader each: how a file's bytes become a schema, columns and pages of rows.

A new format is a reader in a file of its own and a row in each table here.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from core.data.cells import shown
from core.data.errors import InvalidFile
from core.data.readers import npy, npz
from core.data.readers.csv import Csv
from core.data.readers.npy import Npy
from core.data.readers.npz import Npz
from core.data.schema import ColumnType, Limits, Schema

Format = Csv | Npy | Npz

FORMATS: dict[str, type[Format]] = {"csv": Csv, "npy": Npy, "npz": Npz}
CONTENT_TYPES = {
    "text/csv": "csv",
    "application/csv": "csv",
    "text/tab-separated-values": "csv",
    "application/x-npy": "npy",
    "application/x-npz": "npz",
}
SUFFIXES = {".csv": "csv", ".tsv": "csv", ".tab": "csv", ".npy": "npy", ".npz": "npz"}
MAGICS = {npy.MAGIC: "npy", npz.MAGIC: "npz"}


def format_of(word: str | None, file_name: str | None, content_type: str | None, head: bytes) -> Format:
    """The format that a client names or, where it names none, the file's first bytes, its type or its name tell.

    Raises `InvalidFile` for an unknown word, and where nothing tells.
    """
    if word is not None and word not in FORMATS:
        raise InvalidFile(f"there is no format {shown(word)}: it is one of {', '.join(FORMATS)}")
    by_bytes = (name for magic, name in MAGICS.items() if head.startswith(magic))
    by_type = CONTENT_TYPES.get((content_type or "").partition(";")[0].strip().lower())
    by_name = SUFFIXES.get(Path(file_name or "").suffix.lower())
    found = word or next(by_bytes, None) or by_type or by_name
    if found is None:
        raise InvalidFile(f"the file's format is not known: name one of {', '.join(FORMATS)}")
    return FORMATS[found]()


def inspect(
    path: Path, layout: Format, types: Mapping[str, ColumnType] | None = None, limits: Limits | None = None
) -> Schema:
    """The schema of a file, in one pass that holds little of it.

    Raises `InvalidFile` with the place of the first thing that is wrong.
    """
    return layout.inspect(path, types or {}, limits or Limits())


def reader(schema: Schema) -> Format:
    """The reader with which a file of this schema was inspected."""
    csv = schema.format == "csv"
    return Csv(delimiter=schema.delimiter, header=schema.header) if csv else FORMATS[schema.format]()


def load(path: Path, schema: Schema, names: Sequence[str]) -> dict[str, NDArray[Any]]:
    """The named columns whole, some 8 bytes a cell: numbers with NaN, categories as int32 codes with −1, for missing.

    Raises `InvalidFile` where the file is not what the schema says.
    """
    return reader(schema).load(path, schema, [column for column in schema.columns if column.name in set(names)])


def rows(path: Path, schema: Schema, offset: int, limit: int) -> list[dict[str, Any]]:
    """A page of rows as stored, each an object by column, None for what is missing."""
    return reader(schema).rows(path, schema, offset, limit)
