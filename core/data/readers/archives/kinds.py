"""Kinds of files in an archive, by their suffix, and what the schema says of a column of them."""

from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from core.data.cells import quote
from core.data.column_statistics import Moments
from core.data.errors import InvalidFile
from core.data.files.pictures import NotAPicture, measure_picture
from core.data.files.recordings import NotARecording, measure_recording
from core.data.files.values import FileValue, Pixels, column_of
from core.data.schema import Column, ColumnType

FILE = "file"
"""The name of the column of files."""

SUFFIXES: Mapping[ColumnType, tuple[str, ...]] = MappingProxyType(
    {
        "image": (
            ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff",
        ),
        "audio": (".wav", ".wave", ".flac", ".ogg", ".oga", ".mp3"),
        "text": (".txt", ".text"),
    }
)  # fmt: skip
KIND_OF: Mapping[str, ColumnType] = MappingProxyType(
    {suffix: kind for kind, suffixes in SUFFIXES.items() for suffix in suffixes}
)
"""The kind of a file by its suffix."""

MAX_TEXT_BYTES = 2**22
BYTE_ORDER_MARK = "\ufeff"


class FileKind(Protocol):
    """Reads each file of a column once, and keeps what the schema says of them."""

    def add(self, value: FileValue) -> None:
        """Read one file. Raises `InvalidFile`, naming it."""
        ...

    def column(self, rows: int) -> Column:
        """Return the column of files."""
        ...

    @staticmethod
    def load(values: list[Any]) -> NDArray[Any]:
        """Return the loaded column `(rows,)`."""
        ...


class PictureFiles:
    """Heights, widths and channels of pictures."""

    def __init__(self) -> None:
        self._shapes: Counter[tuple[int, int, int]] = Counter()

    def add(self, value: FileValue | Pixels) -> None:
        """Decode one picture. Raises `InvalidFile`, naming it."""
        if isinstance(value, Pixels):
            height, width, *channels = value.array.shape
            self._shapes[height, width, *(channels or [1])] += 1
            return
        try:
            self._shapes[measure_picture(value.read())] += 1
        except NotAPicture as error:
            raise InvalidFile(f"{quote(value.name)} {error}") from None

    def column(self, rows: int) -> Column:
        """Return the column, with the median height and width."""
        shapes = np.array(sorted(self._shapes))
        counts = np.array([self._shapes[tuple(shape)] for shape in shapes.tolist()])
        height, width = (_median(shapes[:, axis], counts) for axis in (0, 1))
        return Column(name=FILE, type="image", rows=rows, shape=(height, width, int(shapes[:, 2].max())))

    @staticmethod
    def load(values: list[Any]) -> NDArray[Any]:
        """Return the files, to be decoded one by one."""
        return column_of(values)


def _median(values: NDArray[Any], counts: NDArray[Any]) -> int:
    """Return the value in the middle of values that occur so often."""
    order = np.argsort(values, kind="stable")
    middle = np.searchsorted(np.cumsum(counts[order]), counts.sum() / 2)
    return int(values[order][middle])


class RecordingFiles:
    """Lengths of recordings."""

    def __init__(self) -> None:
        self._seconds = Moments()

    def add(self, value: FileValue) -> None:
        """Decode one recording. Raises `InvalidFile`, naming it."""
        try:
            self._seconds.add(np.array([measure_recording(value.read())]))
        except NotARecording as error:
            raise InvalidFile(f"{quote(value.name)} {error}") from None

    def column(self, rows: int) -> Column:
        """Return the column, with the seconds of the recordings."""
        seconds = {**self._seconds.fields(), "integers": False}
        return Column(name=FILE, type="audio", rows=rows, **seconds)

    @staticmethod
    def load(values: list[Any]) -> NDArray[Any]:
        """Return the files, to be decoded one by one."""
        return column_of(values)


class TextFiles:
    """Texts in UTF-8, one for each file."""

    def add(self, value: FileValue) -> None:
        """Decode one text. Raises `InvalidFile`, naming it."""
        text_of(value)

    def column(self, rows: int) -> Column:
        """Return the column."""
        return Column(name=FILE, type="text", rows=rows)

    @staticmethod
    def load(values: list[Any]) -> NDArray[Any]:
        """Return the texts."""
        return column_of([text_of(value) for value in values])


def text_of(value: FileValue) -> str:
    """Return the text of a file. Raises `InvalidFile`."""
    content = value.read()
    if len(content) > MAX_TEXT_BYTES:
        message = f"{quote(value.name)} has {len(content):,} bytes, more than {MAX_TEXT_BYTES:,}"
        raise InvalidFile(f"{message}: split it into several texts")
    try:
        return content.decode().removeprefix(BYTE_ORDER_MARK)
    except UnicodeDecodeError as error:
        message = f"{quote(value.name)} is not in UTF-8 ({error.reason}, byte {error.start})"
        raise InvalidFile(f"{message}: save it in UTF-8") from None


FILE_KINDS: Mapping[ColumnType, type[PictureFiles] | type[RecordingFiles] | type[TextFiles]] = MappingProxyType(
    {"image": PictureFiles, "audio": RecordingFiles, "text": TextFiles}
)
"""Kinds of files by the type of their column."""
