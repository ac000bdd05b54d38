"""Reader of .npy files: one array of numbers, a table (rows, columns) or a single column (rows,).

Columns are named by their index, `0`, `1`, ….
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from core.data.column_statistics import IntegerCounts, Moments
from core.data.errors import InvalidFile
from core.data.readers.numpy_array import (
    MAGIC,
    NUMBER,
    Header,
    NumpyReader,
    present_numbers,
    read_blocks,
    read_header,
    read_rows,
    refuse_types,
    to_json_values,
)
from core.data.schema import Column, ColumnType, Limits, Schema


@dataclass(frozen=True, slots=True, kw_only=True)
class Npy(NumpyReader):
    """One array of numbers, (rows, columns) or (rows,)."""

    format: ClassVar[str] = "npy"
    content_types: ClassVar[tuple[str, ...]] = ("application/x-npy",)
    suffixes: ClassVar[tuple[str, ...]] = (".npy",)
    is_table: ClassVar[bool] = True

    @classmethod
    def recognizes(cls, head: bytes) -> bool:
        """Return whether these are the first bytes of a NumPy array."""
        return head.startswith(MAGIC)

    def infer_schema(self, path: Path, types: Mapping[str, ColumnType], limits: Limits) -> Schema:
        """Return the schema of a file, in one pass. Raises `InvalidFile` at the first place that is wrong."""
        refuse_types(types)
        with path.open("rb") as file:
            header = _table_header(file, path, limits)
            width = header.shape[1] if len(header.shape) == 2 else 1
            moments = [Moments() for _ in range(width)]
            counts = [IntegerCounts(limits.whole_numbers) for _ in range(width)]
            start = 0
            for block in read_blocks(file, header, "the array"):
                for place, column in enumerate(block.reshape(len(block), width).T):
                    values = present_numbers(column, start, f"column {place}")
                    moments[place].add(values)
                    counts[place].add(values)
                start += len(block)
        columns = tuple(_column(place, header.shape[0], moments[place], counts[place]) for place in range(width))
        return Schema(format=self.format, rows=header.shape[0], columns=columns)

    def load(self, path: Path, schema: Schema, columns: Sequence[Column]) -> dict[str, NDArray[Any]]:
        """Return columns by name, float64 with NaN for missing values."""
        places = [schema.columns.index(column) for column in columns]
        arrays = np.empty((len(places), schema.rows))
        start = 0
        with path.open("rb") as file:
            header = _table_header(file, path, _limits_of(schema))
            if header.shape[0] != schema.rows:
                raise InvalidFile("the file has another number of rows than when it was uploaded")
            for block in read_blocks(file, header, "the array"):
                arrays[:, start : start + len(block)] = block.reshape(len(block), -1)[:, places].T
                start += len(block)
        return {column.name: array for column, array in zip(columns, arrays, strict=True)}

    def rows(self, path: Path, schema: Schema, offset: int, limit: int) -> list[dict[str, Any]]:
        """Return a page of rows, each an object by column; NaN as None."""
        with path.open("rb") as file:
            header = _table_header(file, path, _limits_of(schema))
            page = read_rows(file, header, "the array", offset, limit)
        names = [column.name for column in schema.columns]
        return [dict(zip(names, to_json_values(row), strict=True)) for row in page.reshape(len(page), len(names))]


def _limits_of(schema: Schema) -> Limits:
    return Limits(cells=schema.rows * len(schema.columns))


def _table_header(file: IO[bytes], path: Path, limits: Limits) -> Header:
    header = read_header(file, path.stat().st_size, "the array", limits)
    if header.value_type != NUMBER or len(header.shape) > 2:
        message = f"an .npy file must have one table of numbers (rows, columns), and this is {header.dtype}"
        raise InvalidFile(f"{message} {header.shape}: save arrays of other shapes, such as x and y, as an .npz file")
    if len(header.shape) == 2 and header.shape[1] > limits.columns:
        raise InvalidFile(f"the table has {header.shape[1]} columns, more than {limits.columns}: remove some")
    return header


def _column(place: int, rows: int, moments: Moments, counts: IntegerCounts) -> Column:
    missing = rows - moments.count
    return Column(name=str(place), type="number", rows=rows, missing=missing, **moments.fields(), **counts.fields())
