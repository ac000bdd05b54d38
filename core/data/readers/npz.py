"""Reader of .npz files: NumPy's archive of named arrays, a zip file of .npy members, such as `x` and `y`.

The directory of the zip file is checked before anything is unpacked: the number of members, the bytes they declare, and
whether their packed bytes can expand to so many. Names of members are never used as paths.
"""

import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from core.data.cells import quote
from core.data.column_statistics import IntegerCounts, Moments, sort_classes
from core.data.errors import InvalidFile
from core.data.readers.numpy_array import (
    NUMBER,
    TEXT,
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

MAX_DIRECTORY_BYTES = 2**20
MAX_NAME_LENGTH = 256
HEADER_BYTES = 16_384  # allowed for each member beside its values
DEFLATE_RATIO = 1032  # zlib's technical notes: one deflated byte expands to no more
MAX_RATIOS = {zipfile.ZIP_STORED: 1, zipfile.ZIP_DEFLATED: DEFLATE_RATIO}
DAMAGE_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    struct.error,
    OSError,
    ValueError,
    NotImplementedError,
    RuntimeError,
)
MEMBER = b"PK\x03\x04"
NAME_LENGTH, NAME_START = slice(26, 28), 30
END_RECORD = b"PK\x05\x06"
END_RECORD_BYTES = 22
MAX_COMMENT_BYTES = 65_535
ZIP64_LOCATOR = b"PK\x06\x07"
ZIP64_LOCATOR_BYTES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Npz(NumpyReader):
    """Arrays by name; row i of one belongs to row i of another."""

    format: ClassVar[str] = "npz"
    content_types: ClassVar[tuple[str, ...]] = ("application/x-npz",)
    suffixes: ClassVar[tuple[str, ...]] = (".npz",)
    is_table: ClassVar[bool] = False

    @classmethod
    def recognizes(cls, head: bytes) -> bool:
        """Return whether these are the first bytes of a zip file whose first member is an array."""
        name_bytes = int.from_bytes(head[NAME_LENGTH], "little")
        return head.startswith(MEMBER) and head[NAME_START : NAME_START + name_bytes].endswith(b".npy")

    def infer_schema(self, path: Path, types: Mapping[str, ColumnType], limits: Limits) -> Schema:
        """Return the schema of an archive, in one pass over each array. Raises `InvalidFile`."""
        refuse_types(types)
        with path.open("rb") as file, open_archive(file, limits) as archive:
            columns = tuple(_column(archive, info, limits) for info in archive.infolist())
        first = next((column for column in columns if column.name == "x"), columns[0])
        if _count_values(columns) > limits.cells:
            raise InvalidFile(f"the arrays have more than {limits.cells} values together: send fewer")
        return Schema(format=self.format, rows=first.rows, columns=columns)

    def load(self, path: Path, schema: Schema, columns: Sequence[Column]) -> dict[str, NDArray[Any]]:
        """Return arrays by name: float32 or float64, texts as int32 codes of their classes."""
        limits = _limits_of(schema)
        with path.open("rb") as file, open_archive(file, limits) as archive:
            return {column.name: _load_array(archive, column, limits) for column in columns}

    def rows(self, path: Path, schema: Schema, offset: int, limit: int) -> list[dict[str, Any]]:
        """Return a page of rows, each an object by array; an array with fewer rows is left out of later ones."""
        longest = max(column.rows for column in schema.columns)
        page: list[dict[str, Any]] = [{} for _ in range(max(0, min(limit, longest - offset)))]
        with path.open("rb") as file, open_archive(file, _limits_of(schema)) as archive:
            for column in schema.columns:
                with _open_member(archive, column.name, _limits_of(schema)) as (stream, header):
                    values = to_json_values(read_rows(stream, header, column.name, offset, limit))
                for record, value in zip(page, values, strict=False):
                    record[column.name] = value
        return page


def _limits_of(schema: Schema) -> Limits:
    return Limits(cells=max(1, _count_values(schema.columns)))


def _count_values(columns: Sequence[Column]) -> int:
    return sum(column.rows * int(np.prod(column.shape)) for column in columns)


@contextmanager
def open_archive(file: IO[bytes], limits: Limits) -> Iterator[zipfile.ZipFile]:
    """Open an archive after checking its directory. Raises `InvalidFile`, also for damage found inside the block."""
    try:
        _check_directory_size(file)
        with zipfile.ZipFile(file) as archive:
            _check_members(archive, limits)
            yield archive
    except DAMAGE_ERRORS as error:
        raise InvalidFile("the archive is damaged: save it with numpy.savez") from error


def _check_directory_size(file: IO[bytes]) -> None:
    """Raise `InvalidFile` for a directory so long that listing its members would fill the memory."""
    size = file.seek(0, 2)
    file.seek(max(0, size - END_RECORD_BYTES - MAX_COMMENT_BYTES - ZIP64_LOCATOR_BYTES))
    tail = file.read()
    file.seek(0)
    at = tail.rfind(END_RECORD)
    if at < 0 or len(tail) - at < END_RECORD_BYTES:
        raise InvalidFile("the archive has no directory: it was cut off, or is not an .npz file")
    directory_bytes = int.from_bytes(tail[at + 12 : at + 16], "little")
    if ZIP64_LOCATOR in tail[max(0, at - ZIP64_LOCATOR_BYTES) : at] or directory_bytes > MAX_DIRECTORY_BYTES:
        raise InvalidFile("the directory of the archive is too long: save the arrays with numpy.savez")


def _check_members(archive: zipfile.ZipFile, limits: Limits) -> None:
    members = archive.infolist()
    if not members:
        raise InvalidFile("the archive has no arrays: save x and y with numpy.savez")
    if len(members) > limits.columns:
        raise InvalidFile(f"the archive has {len(members)} arrays, more than {limits.columns}: remove some")
    for info in members:
        _check_member(info)
    name, times = Counter(info.filename for info in members).most_common(1)[0]
    if times > 1:
        raise InvalidFile(f"the archive has {quote(name)} {times} times: give each array its own name")
    unpacked_bytes = sum(info.file_size for info in members)
    max_bytes = 8 * limits.cells + HEADER_BYTES * len(members)
    if unpacked_bytes > max_bytes:
        raise InvalidFile(f"the archive unpacks to {unpacked_bytes} bytes, more than {max_bytes}: send fewer rows")


def _check_member(info: zipfile.ZipInfo) -> None:
    name = info.filename
    plain = len(name) <= MAX_NAME_LENGTH and all(c not in "/\\" and c.isprintable() for c in name)
    if not name.endswith(".npy") or not plain:
        message = f"the archive has a member {quote(name)}, which is not an array"
        raise InvalidFile(f"{message}: use only names that end with .npy, without folders")
    if info.compress_type not in MAX_RATIOS or info.flag_bits & 1:
        raise InvalidFile(f"{quote(name)} is packed in an unknown way: use numpy.savez or numpy.savez_compressed")
    if info.file_size > info.compress_size * MAX_RATIOS[info.compress_type]:
        message = f"{quote(name)} declares {info.file_size} unpacked bytes, more than its packed bytes can hold"
        raise InvalidFile(f"{message}: save it again")


@contextmanager
def _open_member(archive: zipfile.ZipFile, name: str, limits: Limits) -> Iterator[tuple[IO[bytes], Header]]:
    info = archive.NameToInfo.get(f"{name}.npy")
    if info is None:
        raise InvalidFile(f"the archive no longer has {quote(name)}")
    with archive.open(info) as stream:
        yield stream, read_header(stream, info.file_size, quote(name), limits)


def _column(archive: zipfile.ZipFile, info: zipfile.ZipInfo, limits: Limits) -> Column:
    name = info.filename.removesuffix(".npy")
    with _open_member(archive, name, limits) as (stream, header):
        return COLUMN_READERS[header.value_type](stream, header, name, limits)


def _number_column(stream: IO[bytes], header: Header, name: str, limits: Limits) -> Column:
    moments, counts, start = Moments(), IntegerCounts(limits.categories if len(header.shape) == 1 else 0), 0
    for block in read_blocks(stream, header, quote(name)):
        values = present_numbers(block, start, quote(name))
        moments.add(values)
        counts.add(values)
        start += len(block)
    size = header.shape[0] * int(np.prod(header.shape[1:]))
    return Column(
        name=name,
        type="number",
        rows=header.shape[0],
        shape=header.shape[1:],
        missing=size - moments.count,
        **moments.fields(),
        **counts.fields(),
    )


def _text_column(stream: IO[bytes], header: Header, name: str, limits: Limits) -> Column:
    if len(header.shape) > 1:
        raise InvalidFile(f"{quote(name)} has texts of shape {header.shape}: give one text for each row, its class")
    counts = Counter[str]()
    for block in read_blocks(stream, header, quote(name)):
        counts.update(_texts(block, name))
        if len(counts) > limits.categories:
            return Column(name=name, type="text", rows=header.shape[0])
    if max(map(len, counts)) > limits.category_length:
        return Column(name=name, type="text", rows=header.shape[0], distinct=len(counts))
    classes = tuple((label, counts[label]) for label in sort_classes(counts))
    return Column(name=name, type="category", rows=header.shape[0], distinct=len(classes), classes=classes)


COLUMN_READERS = {NUMBER: _number_column, TEXT: _text_column}


def _texts(block: NDArray[Any], name: str) -> list[str]:
    """Return the texts of a block; bytes are decoded as UTF-8. Raises `InvalidFile`."""
    try:
        texts = [text.decode() if isinstance(text, bytes) else text for text in block.tolist()]
        "".join(texts).encode()
    except (UnicodeError, ValueError):  # bytes that are not UTF-8, lone surrogates, code points beyond Unicode
        raise InvalidFile(f"{quote(name)} has texts that are not valid Unicode: save them again") from None
    if any("\0" in text for text in texts):
        raise InvalidFile(f"{quote(name)} has a text with a NUL character: remove it")
    return texts


def _load_array(archive: zipfile.ZipFile, column: Column, limits: Limits) -> NDArray[Any]:
    with _open_member(archive, column.name, limits) as (stream, header):
        if header.shape != (column.rows, *column.shape):
            raise InvalidFile(f"{quote(column.name)} has another shape than when it was uploaded")
        array = np.empty(header.shape, np.int32 if column.type == "category" else header.loaded_dtype)
        start = 0
        for block in read_blocks(stream, header, quote(column.name)):
            array[start : start + len(block)] = _codes(block, column) if column.type == "category" else block
            start += len(block)
    return array


def _codes(block: NDArray[Any], column: Column) -> list[int]:
    codes = {name: code for code, (name, _) in enumerate(column.classes)}
    try:
        return [codes[text] for text in _texts(block, column.name)]
    except KeyError as error:
        message = f"{quote(column.name)} has {quote(str(error.args[0]))}, which is not one of its categories"
        raise InvalidFile(f"{message} at the upload") from None
