"""NumPy's archive of named arrays: a zip file of .npy members, such as `x` and `y`.

The zip's directory is weighed before anything is unpacked: members, bytes that they declare, and whether so few packed
bytes can hold so many at all. Names of members are names only; nothing is ever unpacked to a path.
"""

import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from core.data.cells import shown
from core.data.column_statistics import IntegerCounts, Moments, in_order
from core.data.errors import InvalidFile
from core.data.readers.npy import KINDS, Header, blocks, finite, plain, read_header, window
from core.data.schema import Column, ColumnType, Limits, Schema

MAGIC = b"PK\x03\x04"
DIRECTORY_BYTES = 2**20
DEFLATE_RATIO = 1032  # no deflated byte gives more (zlib's technical notes)
PACKED = {zipfile.ZIP_STORED: 1, zipfile.ZIP_DEFLATED: DEFLATE_RATIO}
DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    struct.error,
    OSError,
    ValueError,
    NotImplementedError,
    RuntimeError,
)
END = b"PK\x05\x06"
END64 = b"PK\x06\x07"


@dataclass(frozen=True, slots=True, kw_only=True)
class Npz:
    """Arrays by their names; row i of one belongs to row i of another."""

    def inspect(self, path: Path, types: Mapping[str, ColumnType], limits: Limits) -> Schema:
        """The schema of an archive, in one pass over each of its arrays."""
        if types:
            raise InvalidFile("an array has the type that it was saved with: types can be given for CSV alone")
        with path.open("rb") as file, opened(file, limits) as archive:
            columns = tuple(_column(archive, info, limits) for info in archive.infolist())
        chosen = next((column for column in columns if column.name == "x"), columns[0])
        if sum(column.rows * int(np.prod(column.shape)) for column in columns) > limits.cells:
            raise InvalidFile(f"the arrays have more than {limits.cells} values together: send fewer")
        return Schema(format="npz", rows=chosen.rows, columns=columns)

    def load(self, path: Path, schema: Schema, columns: Sequence[Column]) -> dict[str, NDArray[Any]]:
        """The named arrays whole: float32 or float64, texts as int32 codes of their classes."""
        limits = _known(schema)
        with path.open("rb") as file, opened(file, limits) as archive:
            return {column.name: _loaded(archive, column, limits) for column in columns}

    def rows(self, path: Path, schema: Schema, offset: int, limit: int) -> list[dict[str, Any]]:
        """A page of rows, each an object by array; arrays that have ended are left out."""
        page: list[dict[str, Any]] = [{} for _ in range(max(0, min(limit, _longest(schema) - offset)))]
        with path.open("rb") as file, opened(file, _known(schema)) as archive:
            for column in schema.columns:
                with _member(archive, column.name, _known(schema)) as (stream, header):
                    values = plain(window(stream, header, column.name, offset, limit))
                for record, value in zip(page, values, strict=False):
                    record[column.name] = value
        return page


def _known(schema: Schema) -> Limits:
    return Limits(cells=max(1, sum(column.rows * int(np.prod(column.shape)) for column in schema.columns)))


def _longest(schema: Schema) -> int:
    return max(column.rows for column in schema.columns)


@contextmanager
def opened(file: IO[bytes], limits: Limits) -> Iterator[zipfile.ZipFile]:
    """The archive, after its directory was weighed."""
    try:
        _weigh_end(file)
        with zipfile.ZipFile(file) as archive:
            _weigh(archive, limits)
            yield archive
    except DAMAGE as error:
        raise InvalidFile("the archive is damaged: save it with numpy.savez") from error


def _weigh_end(file: IO[bytes]) -> None:
    """Refuse a directory so long that listing it alone would fill the memory."""
    size = file.seek(0, 2)
    file.seek(max(0, size - 65_557 - 20))
    tail = file.read()
    file.seek(0)
    at = tail.rfind(END)
    if at < 0 or len(tail) - at < 22:
        raise InvalidFile("the archive has no directory: it was cut off, or is no .npz file")
    if END64 in tail[max(0, at - 20) : at] or int.from_bytes(tail[at + 12 : at + 16], "little") > DIRECTORY_BYTES:
        raise InvalidFile("the archive's directory is too long: save the arrays with numpy.savez")


def _weigh(archive: zipfile.ZipFile, limits: Limits) -> None:
    members = archive.infolist()
    if not members:
        raise InvalidFile("the archive holds no array: save x and y with numpy.savez")
    if len(members) > limits.columns:
        raise InvalidFile(f"the archive holds {len(members)} arrays: at most {limits.columns} are taken")
    for info in members:
        _weigh_member(info)
    name, times = Counter(info.filename for info in members).most_common(1)[0]
    if times > 1:
        raise InvalidFile(f"the archive holds {shown(name)} {times} times: give each array its own name")
    declared = sum(info.file_size for info in members)
    most = 8 * limits.cells + 16_384 * len(members)
    if declared > most:
        raise InvalidFile(f"the archive unpacks to {declared} bytes: at most {most} are taken")


def _weigh_member(info: zipfile.ZipInfo) -> None:
    name = info.filename
    if not name.endswith(".npy") or len(name) > 256 or any(c in "/\\" or not c.isprintable() for c in name):
        raise InvalidFile(
            f"the archive holds {shown(name)}, which is no array: it may hold plain names with .npy alone"
        )
    if info.compress_type not in PACKED or info.flag_bits & 1:
        raise InvalidFile(f"{shown(name)} is packed in another way than numpy.savez and savez_compressed do")
    if info.file_size > info.compress_size * PACKED[info.compress_type]:
        raise InvalidFile(
            f"{shown(name)} says it unpacks to {info.file_size} bytes, more than its packed bytes can hold"
        )


@contextmanager
def _member(archive: zipfile.ZipFile, name: str, limits: Limits) -> Iterator[tuple[IO[bytes], Header]]:
    info = archive.NameToInfo.get(f"{name}.npy")
    if info is None:
        raise InvalidFile(f"the archive no longer holds {shown(name)}")
    with archive.open(info) as stream:
        yield stream, read_header(stream, info.file_size, shown(name), limits)


def _column(archive: zipfile.ZipFile, info: zipfile.ZipInfo, limits: Limits) -> Column:
    name = info.filename.removesuffix(".npy")
    with _member(archive, name, limits) as (stream, header):
        return SUMMED_UP[KINDS[header.dtype.kind]](stream, header, name, limits)


def _numbers(stream: IO[bytes], header: Header, name: str, limits: Limits) -> Column:
    moments, wholes, start = Moments(), IntegerCounts(limits.categories if len(header.shape) == 1 else 0), 0
    for block in blocks(stream, header, shown(name)):
        values = finite(block, start, shown(name))
        moments.add(values)
        wholes.add(values)
        start += len(block)
    size = header.shape[0] * int(np.prod(header.shape[1:]))
    return Column(
        name=name,
        type="number",
        rows=header.shape[0],
        shape=header.shape[1:],
        missing=size - moments.count,
        **moments.fields(),
        **wholes.fields(),
    )


def _texts(stream: IO[bytes], header: Header, name: str, limits: Limits) -> Column:
    if len(header.shape) > 1:
        raise InvalidFile(f"{shown(name)} holds texts of shape {header.shape}: texts are classes, one for each row")
    counts = Counter[str]()
    for block in blocks(stream, header, shown(name)):
        counts.update(texts(block, name))
        if len(counts) > limits.categories:
            return Column(name=name, type="text", rows=header.shape[0])
    if max(map(len, counts)) > limits.category_length:
        return Column(name=name, type="text", rows=header.shape[0], distinct=len(counts))
    classes = tuple((label, counts[label]) for label in in_order(counts))
    return Column(name=name, type="category", rows=header.shape[0], distinct=len(classes), classes=classes)


SUMMED_UP = {"number": _numbers, "text": _texts}


def texts(block: NDArray[Any], name: str) -> list[str]:
    """The texts of a block, in UTF-8 where they are bytes."""
    try:
        listed = [text.decode() if isinstance(text, bytes) else text for text in block.tolist()]
        "".join(listed).encode()
    except (UnicodeError, ValueError):  # bytes that are no UTF-8, lone surrogates, code points beyond Unicode
        raise InvalidFile(f"{shown(name)} holds texts that are no Unicode: save them again") from None
    if any("\0" in text for text in listed):
        raise InvalidFile(f"{shown(name)} holds a text with a NUL in it: take it out")
    return listed


def _loaded(archive: zipfile.ZipFile, column: Column, limits: Limits) -> NDArray[Any]:
    with _member(archive, column.name, limits) as (stream, header):
        if header.shape != (column.rows, *column.shape):
            raise InvalidFile(f"{shown(column.name)} has another shape than when it was uploaded")
        array = np.empty(header.shape, np.int32 if column.type == "category" else header.held)
        start = 0
        for block in blocks(stream, header, shown(column.name)):
            array[start : start + len(block)] = _coded(block, column) if column.type == "category" else block
            start += len(block)
    return array


def _coded(block: NDArray[Any], column: Column) -> list[int]:
    codes = {name: code for code, (name, _) in enumerate(column.classes)}
    try:
        return [codes[text] for text in texts(block, column.name)]
    except KeyError as error:
        raise InvalidFile(f"{shown(column.name)} holds {error.args[0]!r}, which it did not at its upload") from None
