"""The bytes of a file of text: decompressed, decoded, and made the simple form that DuckDB reads."""

import codecs
import gzip
import io
import re
import sys
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from core.data.errors import InvalidFile
from core.data.readers.csv.layout import BLANKS, Layout

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

GZIP = b"\x1f\x8b"
ZSTD = b"\x28\xb5\x2f\xfd"
BLOCK_BYTES = 2**20
NO_TEXT = "the file is not CSV text: save it as UTF-8"


def is_compressed(head: bytes) -> bool:
    """Return whether these are the first bytes of a file compressed by gzip or zstd."""
    return head.startswith((GZIP, ZSTD))


Source = Path | bytes
"""A file of text: its path, or its content."""


def open_raw(source: Source) -> BinaryIO:
    """Open a file as it is."""
    return io.BytesIO(source) if isinstance(source, bytes) else source.open("rb")


@contextmanager
def opened(source: Source) -> Iterator[BinaryIO]:
    """Open a file, decompressing it on the way if it is compressed by gzip or zstd. Raises `InvalidFile` if damaged."""
    with open_raw(source) as raw:
        head = raw.read(len(ZSTD))
        raw.seek(0)
        opener: Any = gzip.open if head.startswith(GZIP) else zstd.open if head == ZSTD else nullcontext
        try:
            with opener(raw) as unpacked:
                yield unpacked
        except (gzip.BadGzipFile, zlib.error, zstd.ZstdError, EOFError) as error:
            raise InvalidFile(f"the compressed file is damaged or cut short ({error}): compress it again") from None


def check_text(source: Source, record_bytes: int) -> None:
    """Raise `InvalidFile` for a plain file with a NUL byte or too long a line, of which DuckDB says nothing.

    No text has a NUL, and no database stores one.
    """
    with open_raw(source) as file:
        lines = 1
        for block in bounded_lines(iter(partial(file.read, BLOCK_BYTES), b""), record_bytes):
            if (place := block.find(0)) >= 0:
                raise InvalidFile(f"line {lines + block.count(10, 0, place)} has a NUL byte: {NO_TEXT}")
            lines += block.count(10)


def bounded_lines(blocks: Iterable[bytes], record_bytes: int) -> Iterator[bytes]:
    """Yield the blocks. Raises `InvalidFile` where a line has more bytes than a block and than `record_bytes`."""
    lines, length = 0, 0
    for block in blocks:
        first = block.find(10)
        if length + (len(block) if first < 0 else first) > max(record_bytes, BLOCK_BYTES):
            place = f"line {lines + 1} of the table is longer than {record_bytes} bytes"
            raise InvalidFile(f"{place}: close its quotes, or shorten it")
        length = length + len(block) if first < 0 else len(block) - block.rfind(10) - 1
        lines += block.count(10)
        yield block


def text_blocks(source: Source, layout: Layout, record_bytes: int) -> Iterator[bytes]:
    """Yield the table of a file in UTF-8: without the lines above and below it, line ends LF, cells as `layout` says.

    Raises `InvalidFile` for bytes that are not of the encoding.
    """
    with opened(source) as file:
        blocks = _decoded(_between(file, layout.start, layout.end), layout.encoding)
        if layout.line_ends:
            blocks = _with_line_feeds(blocks)
        if layout.comment or layout.delimiter == BLANKS:
            blocks = _lines(blocks, layout, record_bytes)
        yield from bounded_lines((text.encode() for text in blocks), record_bytes)
    yield layout.suffix.encode()


def _between(file: BinaryIO, start: int, end: int | None) -> Iterator[bytes]:
    place = 0
    while place < start:
        skipped = len(file.read(min(BLOCK_BYTES, start - place)))
        if not skipped:
            return
        place += skipped
    while (end is None or place < end) and (
        block := file.read(BLOCK_BYTES if end is None else min(BLOCK_BYTES, end - place))
    ):
        place += len(block)
        yield block


def _decoded(blocks: Iterator[bytes], encoding: str) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(encoding)()
    lines = 1
    try:
        for block in blocks:
            text = decoder.decode(block)
            if "\0" in text:
                raise InvalidFile(f"line {lines + text[: text.index(chr(0))].count(chr(10))} has a NUL byte: {NO_TEXT}")
            lines += text.count("\n")
            yield text
        yield decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise InvalidFile(
            f"the file is not in {encoding} ({error.reason}, after line {lines} of the table): name its encoding"
        ) from None


def _with_line_feeds(blocks: Iterator[str]) -> Iterator[str]:
    held = ""
    for block in blocks:
        text = held + block
        held = "\r" if text.endswith("\r") else ""
        yield text.removesuffix("\r").replace("\r\n", "\n").replace("\r", "\n")
    yield "\n" if held else ""


def _lines(blocks: Iterator[str], layout: Layout, record_bytes: int) -> Iterator[str]:
    """Yield the text without lines of comments, and with tabs for runs of blanks."""
    held = ""
    for block in blocks:
        text = held + block
        end = text.rfind("\n") + 1
        held = text[end:]
        if len(held) > record_bytes:
            raise InvalidFile(f"a row is longer than {record_bytes} bytes: shorten it")
        yield simplified(text[:end], layout)
    yield simplified(held, layout)


def simplified(text: str, layout: Layout) -> str:
    """Return whole lines without comments, and with tabs for runs of blanks."""
    if layout.comment:
        text = re.sub(rf"(?m)^[ \t]*{re.escape(layout.comment)}.*\n?", "", text)
    if layout.delimiter != BLANKS:
        return text
    if not layout.quote or layout.quote not in text:
        return re.sub(r"(?m)[ \t]+", "\t", re.sub(r"(?m)^[ \t]+|[ \t]+$", "", text))
    quoted = re.escape(layout.quote)
    pieces = re.compile(rf"({quoted}[^{quoted}]*{quoted})|[ \t]+")
    lines = (line.strip(" \t") for line in text.split("\n"))
    return "\n".join(pieces.sub(lambda found: found[1] or "\t", line) for line in lines)
