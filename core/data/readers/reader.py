"""The interface of a file reader: it infers the schema of an upload, and loads columns and rows.

A new format is one file of this folder, one member of `READERS` in `core.data.readers`, and one row of
`tests/core/data/readers/test_readers.py`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

from numpy.typing import NDArray

from core.data.schema import Column, ColumnType, Limits, Schema


class FileReader(Protocol):
    """Reads files of one format. Members are frozen dataclasses whose fields are options that a client may set."""

    format: ClassVar[str]
    """The word for the format."""

    content_types: ClassVar[tuple[str, ...]]
    """Media types of the format."""

    suffixes: ClassVar[tuple[str, ...]]
    """Suffixes of file names, in lower case, with their dot."""

    is_table: ClassVar[bool]
    """Whether rows are records of single values, which are encoded, or entries of arrays."""

    @classmethod
    def recognizes(cls, head: bytes) -> bool:
        """Return whether the first bytes of a file show that it is of the format; False where they cannot."""
        ...

    @classmethod
    def of(cls, schema: Schema) -> Self:
        """Return the reader that reads a file as its schema was inferred."""
        ...

    def options(self) -> dict[str, Any]:
        """Return the fields as JSON, by which another process makes the same reader."""
        ...

    def infer_schema(self, path: Path, types: Mapping[str, ColumnType], limits: Limits) -> Schema:
        """Return the schema of a file, in one pass that keeps little of it.

        `types` are those of some columns, set by the client. Raises `InvalidFile` at the first place that is wrong.
        """
        ...

    def load(self, path: Path, schema: Schema, columns: Sequence[Column]) -> dict[str, NDArray[Any]]:
        """Return columns by name, each an array of all rows.

        Numbers are float32 or float64 with NaN for missing values, categories int32 codes with −1, texts an object
        array of `str` with None. Raises `InvalidFile` where the file does not match its schema.
        """
        ...

    def rows(self, path: Path, schema: Schema, offset: int, limit: int) -> list[dict[str, Any]]:
        """Return at most `limit` rows from `offset` on, each an object by column with None for missing values."""
        ...
