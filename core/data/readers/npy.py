"""NumPy's own file of one array: a table of numbers, or a single column of them.

The header is read by NumPy's parser of literals and checked against the file's real size before anything is allocated;
object arrays (pickles) are refused. Columns are named `0`, `1`, … by their place.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

import numpy as np
from numpy.lib import format as layout
from numpy.typing import NDArray

from core.data.cells import FLOAT32_MAX
from core.data.column_statistics import IntegerCounts, Moments
from core.data.errors import InvalidFile
from core.data.schema import Column, ColumnType, Limits, Schema

MAGIC = b"\x93NUMPY"
BLOCK_BYTES = 4 * 2**20
HEADER_BYTES = 10_000
TEXT_BYTES = 4096
KINDS = {"b": "number", "i": "number", "u": "number", "f": "number", "U": "text", "S": "text"}
READERS = {(1, 0): layout.read_array_header_1_0, (2, 0): layout.read_array_header_2_0}


class Header(NamedTuple):
    """What stands before the numbers: shape, order and type, and how many bytes the numbers take."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]

    @property
    def bytes(self) -> int:
        """Bytes of the numbers."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def held(self) -> np.dtype[Any]:
        """The type that holds every number of the file's exactly enough: float32 for small ones, else float64."""
        small = np.can_cast(self.dtype, np.float32)
        return self.dtype if KINDS[self.dtype.kind] == "text" else np.dtype(np.float32 if small else np.float64)


def read_header(stream: IO[bytes], size: int, name: str, limits: Limits) -> Header:
    """The header of an array whose file or member has `size` bytes; the stream then stands at its numbers."""
    try:
        version = layout.read_magic(stream)
        shape, fortran, dtype = READERS[version](stream, max_header_size=HEADER_BYTES)
    except Exception as error:  # NumPy documents none: ValueError, KeyError, SyntaxError, … were all seen
        raise InvalidFile(f"{name} is no array in NumPy's format, or is damaged: save it with numpy.save") from error
    header = Header(tuple(map(int, shape)), fortran, dtype)  # NumPy takes a literal True for a length
    _check(header, size - stream.tell(), name, limits)
    return header


def _check(header: Header, size: int, name: str, limits: Limits) -> None:
    if header.dtype.kind not in KINDS or not 0 < header.dtype.itemsize <= (
        8 if header.dtype.kind == "f" else TEXT_BYTES
    ):
        known = "whole numbers, floats up to 64 bits, booleans and texts of fixed length"
        raise InvalidFile(f"{name} holds {header.dtype}: only {known} are read (objects never)")
    if not header.shape:
        raise InvalidFile(f"{name} is a single value: give it an axis of rows")
    if min(header.shape) <= 0:
        raise InvalidFile(f"{name} is empty (shape {header.shape}): give it at least one row")
    if len(header.shape) > 8:
        raise InvalidFile(f"{name} has {len(header.shape)} axes: at most 8 are taken")
    if math.prod(header.shape) > limits.cells:
        raise InvalidFile(f"{name} has {math.prod(header.shape)} values: at most {limits.cells} are taken")
    if header.bytes != size:
        raise InvalidFile(f"{name} says it has {header.bytes} bytes of numbers, and has {size}: save it again")


def blocks(stream: IO[bytes], header: Header, name: str) -> Iterator[NDArray[Any]]:
    """The array's rows in blocks of some `BLOCK_BYTES`, each (rows, *rest).

    Columns stored one after the other (Fortran's order) give one block, for their rows lie all over the file.
    """
    if header.fortran:
        flat = _read(stream, math.prod(header.shape), header.dtype, name)
        yield flat.reshape(header.shape, order="F")
        return
    row = math.prod(header.shape[1:])
    most = max(1, BLOCK_BYTES // (row * header.dtype.itemsize))
    for start in range(0, header.shape[0], most):
        rows = min(most, header.shape[0] - start)
        yield _read(stream, rows * row, header.dtype, name).reshape(rows, *header.shape[1:])


def _read(stream: IO[bytes], count: int, dtype: np.dtype[Any], name: str) -> NDArray[Any]:
    flat = np.empty(count, dtype)
    view = flat.view(np.uint8).data
    got = 0
    while got < len(view):
        part = stream.read(min(len(view) - got, BLOCK_BYTES))
        if not part:
            raise InvalidFile(f"{name} ends early: {got} of {len(view)} bytes are there")
        view[got : got + len(part)] = part
        got += len(part)
    return flat


def finite(block: NDArray[Any], start: int, name: str) -> NDArray[Any]:
    """The numbers of a block that are there (no NaN); infinity and what no float32 holds is refused."""
    values = block.astype(np.float64, copy=False)
    beyond = np.abs(values) > FLOAT32_MAX
    if beyond.any():
        row = start + int(np.argwhere(beyond)[0][0])
        raise InvalidFile(f"{name}, row {row}: {values[beyond][0]} is beyond what a float32 holds: correct it")
    return values[~np.isnan(values)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Npy:
    """One array, (rows, columns) or (rows,)."""

    def inspect(self, path: Path, types: Mapping[str, ColumnType], limits: Limits) -> Schema:
        """The schema of a file, in one pass over it."""
        if types:
            raise InvalidFile("an array has the type that it was saved with: types can be given for CSV alone")
        with path.open("rb") as file:
            header = self._header(file, path, limits)
            width = header.shape[1] if len(header.shape) == 2 else 1
            moments = [Moments() for _ in range(width)]
            wholes = [IntegerCounts(limits.whole_numbers) for _ in range(width)]
            start = 0
            for block in blocks(file, header, "the array"):
                for place, column in enumerate(block.reshape(len(block), width).T):
                    values = finite(column, start, f"column {place}")
                    moments[place].add(values)
                    wholes[place].add(values)
                start += len(block)
        columns = tuple(_column(place, header.shape[0], moments[place], wholes[place]) for place in range(width))
        return Schema(format="npy", rows=header.shape[0], columns=columns)

    def _header(self, file: IO[bytes], path: Path, limits: Limits) -> Header:
        header = read_header(file, path.stat().st_size, "the array", limits)
        if KINDS[header.dtype.kind] != "number" or len(header.shape) > 2:
            message = (
                f"an .npy file holds one table of numbers, (rows, columns), and this is {header.dtype} {header.shape}"
            )
            raise InvalidFile(f"{message}: put arrays of other shapes, as x and y, into an .npz file")
        if len(header.shape) == 2 and header.shape[1] > limits.columns:
            raise InvalidFile(f"the table has {header.shape[1]} columns: at most {limits.columns} are taken")
        return header

    def load(self, path: Path, schema: Schema, columns: Sequence[Column]) -> dict[str, NDArray[Any]]:
        """The named columns whole, float64 with NaN for what is missing."""
        places = [schema.columns.index(column) for column in columns]
        arrays = np.empty((len(places), schema.rows))
        start = 0
        with path.open("rb") as file:
            header = self._header(file, path, Limits(cells=schema.rows * len(schema.columns)))
            if header.shape[0] != schema.rows:
                raise InvalidFile("the file holds other rows than when it was uploaded")
            for block in blocks(file, header, "the array"):
                arrays[:, start : start + len(block)] = block.reshape(len(block), -1)[:, places].T
                start += len(block)
        return {column.name: array for column, array in zip(columns, arrays, strict=True)}

    def rows(self, path: Path, schema: Schema, offset: int, limit: int) -> list[dict[str, Any]]:
        """A page of rows, each an object by column; NaN as None."""
        with path.open("rb") as file:
            header = self._header(file, path, Limits(cells=schema.rows * len(schema.columns)))
            page = window(file, header, "the array", offset, limit)
        names = [column.name for column in schema.columns]
        return [dict(zip(names, plain(row), strict=True)) for row in page.reshape(len(page), len(names))]


def _column(place: int, rows: int, moments: Moments, wholes: IntegerCounts) -> Column:
    missing = rows - moments.count
    return Column(name=str(place), type="number", rows=rows, missing=missing, **moments.fields(), **wholes.fields())


def window(stream: IO[bytes], header: Header, name: str, offset: int, limit: int) -> NDArray[Any]:
    """The rows from `offset` on, at most `limit` of them; what stands before is read and let go."""
    parts, start = [], 0
    for block in blocks(stream, header, name):
        parts.append(block[max(0, offset - start) : max(0, offset + limit - start)])
        start += len(block)
        if start >= offset + limit:
            break
    return np.concatenate(parts)


def plain(row: NDArray[Any]) -> list[Any]:
    """A row as JSON has it: NaN as None, nested as its axes are."""
    values = row.astype(object)
    if row.dtype.kind == "f":
        values[np.isnan(row)] = None
    return cast("list[Any]", values.tolist())
