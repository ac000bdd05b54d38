"""NumPy's binary form of one array: a header and the values, as a file or as a member of an archive.

The header is parsed by NumPy's parser of literals and checked against the real size before memory is allocated. Object
arrays (pickles) are refused.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any, NamedTuple, Self, cast

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from core.data.cells import FLOAT32_MAX
from core.data.errors import InvalidFile
from core.data.schema import ColumnType, Limits, Schema

MAGIC = b"\x93NUMPY"
BLOCK_BYTES = 4 * 2**20
MAX_HEADER_BYTES = 10_000
MAX_TEXT_BYTES = 4096
MAX_FLOAT_BYTES = 8
MAX_AXES = 8
NUMBER = "number"
TEXT = "text"
VALUE_TYPES = {"b": NUMBER, "i": NUMBER, "u": NUMBER, "f": NUMBER, "U": TEXT, "S": TEXT}
"""What the values of an array are, by the `kind` of its dtype; other kinds are refused."""
HEADER_PARSERS = {(1, 0): npy_format.read_array_header_1_0, (2, 0): npy_format.read_array_header_2_0}


@dataclass(frozen=True, slots=True, kw_only=True)
class NumpyReader:
    """A reader without options, of files that NumPy writes."""

    @classmethod
    def of(cls, schema: Schema) -> Self:
        """Return the reader: it has no options."""
        return cls()

    def options(self) -> dict[str, Any]:
        """Return no options."""
        return {}


class Header(NamedTuple):
    """Shape, order and type of the values."""

    shape: tuple[int, ...]
    fortran_order: bool
    dtype: np.dtype[Any]

    @property
    def bytes(self) -> int:
        """Bytes of the values."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def value_type(self) -> str:
        """`number` or `text`."""
        return VALUE_TYPES[self.dtype.kind]

    @property
    def loaded_dtype(self) -> np.dtype[Any]:
        """The type of loaded numbers: float32 where it has every number of the file's type, else float64."""
        if self.value_type == TEXT:
            return self.dtype
        return np.dtype(np.float32 if np.can_cast(self.dtype, np.float32) else np.float64)


def read_header(stream: IO[bytes], size: int, name: str, limits: Limits) -> Header:
    """Return the header of an array of `size` bytes, header included; the stream is then at the values.

    Raises `InvalidFile`, which calls the array `name`.
    """
    try:
        version = npy_format.read_magic(stream)
        shape, fortran_order, dtype = HEADER_PARSERS[version](stream, max_header_size=MAX_HEADER_BYTES)
    except Exception as error:  # NumPy documents none: ValueError, KeyError, SyntaxError, … were all seen
        message = f"{name} is not an array in NumPy's format, or is damaged: save it with numpy.save"
        raise InvalidFile(message) from error
    header = Header(tuple(map(int, shape)), fortran_order, dtype)  # NumPy takes a literal True for a length
    _check(header, size - stream.tell(), name, limits)
    return header


def _check(header: Header, size: int, name: str, limits: Limits) -> None:
    max_item_bytes = MAX_FLOAT_BYTES if header.dtype.kind == "f" else MAX_TEXT_BYTES
    if header.dtype.kind not in VALUE_TYPES or not 0 < header.dtype.itemsize <= max_item_bytes:
        readable = "integers, floats up to 64 bits, booleans and texts of fixed length"
        raise InvalidFile(f"{name} is of type {header.dtype}: save {readable}; objects are never read")
    if not header.shape:
        raise InvalidFile(f"{name} is a single value: give it an axis of rows")
    if min(header.shape) <= 0:
        raise InvalidFile(f"{name} is empty (shape {header.shape}): give it at least one row")
    if len(header.shape) > MAX_AXES:
        raise InvalidFile(f"{name} has {len(header.shape)} axes, more than {MAX_AXES}: reshape it")
    values = math.prod(header.shape)
    if values > limits.cells:
        raise InvalidFile(f"{name} has {values} values, more than {limits.cells}: send fewer rows")
    if header.bytes != size:
        raise InvalidFile(f"{name} has {size} bytes of values, and its header says {header.bytes}: save it again")


def read_blocks(stream: IO[bytes], header: Header, name: str) -> Iterator[NDArray[Any]]:
    """Yield the rows of an array in blocks of about `BLOCK_BYTES`, each (rows, *rest).

    Arrays in Fortran order are one block, since their rows are spread over the whole file.
    """
    if header.fortran_order:
        flat = _read(stream, math.prod(header.shape), header.dtype, name)
        yield flat.reshape(header.shape, order="F")
        return
    row = math.prod(header.shape[1:])
    block_rows = max(1, BLOCK_BYTES // (row * header.dtype.itemsize))
    for start in range(0, header.shape[0], block_rows):
        rows = min(block_rows, header.shape[0] - start)
        yield _read(stream, rows * row, header.dtype, name).reshape(rows, *header.shape[1:])


def _read(stream: IO[bytes], count: int, dtype: np.dtype[Any], name: str) -> NDArray[Any]:
    flat = np.empty(count, dtype)
    view = flat.view(np.uint8).data
    position = 0
    while position < len(view):
        part = stream.read(min(len(view) - position, BLOCK_BYTES))
        if not part:
            raise InvalidFile(f"{name} ends after {position} of {len(view)} bytes: send the whole file")
        view[position : position + len(part)] = part
        position += len(part)
    return flat


def read_rows(stream: IO[bytes], header: Header, name: str, offset: int, limit: int) -> NDArray[Any]:
    """Return at most `limit` rows from `offset` on; the rows before are read and dropped."""
    parts, start = [], 0
    for block in read_blocks(stream, header, name):
        parts.append(block[max(0, offset - start) : max(0, offset + limit - start)])
        start += len(block)
        if start >= offset + limit:
            break
    return np.concatenate(parts)


def present_numbers(block: NDArray[Any], start: int, name: str) -> NDArray[Any]:
    """Return the numbers of a block without NaN, flat. Raises `InvalidFile` for numbers outside the range of float32.

    `start` is the row of the array at which the block begins.
    """
    values = block.astype(np.float64, copy=False)
    outside = np.abs(values) > FLOAT32_MAX
    if outside.any():
        row = start + int(np.argwhere(outside)[0][0])
        message = f"{name}, row {row}: {values[outside][0]} is outside the range of float32: correct it"
        raise InvalidFile(message)
    return values[~np.isnan(values)]


def to_json_values(row: NDArray[Any]) -> list[Any]:
    """Return a row as JSON: NaN as None, nested as its axes are."""
    values = row.astype(object)
    if row.dtype.kind == "f":
        values[np.isnan(row)] = None
    return cast("list[Any]", values.tolist())


def refuse_types(types: Mapping[str, ColumnType]) -> None:
    """Raise `InvalidFile` where a client sets types: those of an array are fixed."""
    if types:
        raise InvalidFile("an array has the type it was saved with: leave types out, which are for CSV files")
