"""The first and the last bytes of a file, decompressed, and the encoding that they are in."""

import codecs
from typing import NamedTuple

from core.data.errors import InvalidFile
from core.data.readers.csv.layout import ReadAs
from core.data.readers.csv.stream import BLOCK_BYTES, NO_TEXT, Source, is_compressed, open_raw, opened

HEAD_BYTES = 2**18
HEAD_LINES = 4
"""Line ends of the first bytes, of which there are more where rows are long."""
TAIL_BYTES = 2**16
MAX_UNPACKED_BYTES = 2**33

ENCODINGS = (
    *("utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "iso-8859-1", "iso-8859-2", "iso-8859-5", "iso-8859-7"),
    *("iso-8859-9", "iso-8859-15", "windows-1250", "windows-1251", "windows-1252", "windows-1253", "windows-1254"),
    *("windows-1255", "windows-1256", "windows-1257", "windows-1258", "koi8-r", "mac-roman", "cp437", "cp850"),
    *("shift_jis", "euc-jp", "euc-kr", "gb18030", "big5"),
)
"""Encodings that a client may name."""

FALLBACK = "windows-1252"
"""The encoding of text that is not in UTF-8, as Western Windows writes it."""

MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
"""Byte order marks with their encodings."""


class Sample(NamedTuple):
    """The first and the last bytes of a file, without a byte order mark."""

    head: bytes
    tail: bytes
    """Empty where the head is the whole file."""
    size: int
    """Bytes of the whole file, decompressed, with the mark."""
    mark: int
    """Bytes of the byte order mark."""
    compressed: bool


class Texts(NamedTuple):
    """A sample, decoded."""

    head: str
    """From the first line to the last complete one."""
    tail: str
    """From the beginning of a line to the end of the file; empty where the head is the whole file."""
    encoding: ReadAs
    certain: bool
    """Whether the encoding shows in the sample: more than ASCII, or said by a client."""


def sample_of(source: Source, record_bytes: int) -> Sample:
    """Return the first and the last bytes of a file. Raises `InvalidFile` where it unpacks to too much.

    The first are several rows, unless one is longer than `record_bytes`.
    """
    with open_raw(source) as raw:
        compressed = is_compressed(raw.read(4))
        raw.seek(0, 2)
        on_disk = raw.tell()
    with opened(source) as file:
        head = file.read(HEAD_BYTES)
        while len(head) % HEAD_BYTES == 0 and len(head) < record_bytes and _line_ends(head) < HEAD_LINES:
            more = file.read(HEAD_BYTES)
            head += more
            if not more:
                break
        tail, size = b"", len(head)
        if compressed:
            while block := file.read(BLOCK_BYTES):
                tail, size = (tail + block)[-TAIL_BYTES:], size + len(block)
                if size > MAX_UNPACKED_BYTES:
                    raise InvalidFile(f"the file unpacks to more than {MAX_UNPACKED_BYTES} bytes: send a smaller one")
        elif len(head) < on_disk:
            size = on_disk
            file.seek(max(len(head), size - TAIL_BYTES))
            tail = file.read(TAIL_BYTES)
    mark = next((len(mark) for mark, _ in MARKS if head.startswith(mark)), 0)
    return Sample(head, tail, size, mark, compressed)


def _line_ends(head: bytes) -> int:
    return max(head.count(b"\n"), head.count(b"\r"))


def encoding_of(sample: Sample) -> tuple[ReadAs, bool]:
    """Return the encoding of a file, and whether the sample has more than ASCII."""
    for mark, encoding in MARKS:
        if sample.head.startswith(mark):
            return ReadAs(encoding, "the file begins with its byte order mark"), True
    even, odd = sample.head[0:1000:2], sample.head[1:1000:2]
    for encoding, letters, zeros in (("utf-16-le", even, odd), ("utf-16-be", odd, even)):
        if zeros.count(0) > len(zeros) * 0.6 and letters.count(0) < len(letters) * 0.1:
            return ReadAs(encoding, "every second byte of its first ones is 0"), True
    if sample.head.isascii() and sample.tail.isascii():
        return ReadAs("utf-8", "its first and last bytes are ASCII"), False
    try:
        for part in (sample.head, sample.tail.lstrip(bytes(range(0x80, 0xC0)))):
            codecs.getincrementaldecoder("utf-8")().decode(part)
    except UnicodeDecodeError:
        return ReadAs(FALLBACK, "its first or last bytes are not UTF-8"), True
    return ReadAs("utf-8", "its first and last bytes are UTF-8"), True


def decoded(sample: Sample, said: str | None) -> Texts:
    """Return the sample as text, by the encoding that a client names or that follows from it. Raises `InvalidFile`."""
    encoding, certain = encoding_of(sample)
    if said is not None and said.removesuffix("-le").removesuffix("-be") not in encoding.value:
        encoding, certain = ReadAs(said, "said with the upload"), True
    if said is not None:
        encoding, certain = ReadAs(encoding.value, "said with the upload"), True
    head = _text(sample.head[sample.mark :], encoding.value, whole=not sample.tail)
    tail = ""
    if sample.tail:
        head = head[: _last_line_end(head)] or head
        width = 2 if "16" in encoding.value else 4 if "32" in encoding.value else 1
        tail = _text(sample.tail[-(sample.size - len(sample.tail)) % width :], encoding.value, whole=False)
        first = min((at for at in (tail.find("\n"), tail.find("\r")) if at >= 0), default=len(tail) - 1)
        tail = tail[first + 1 :]
    return Texts(head, tail, encoding, certain)


def _last_line_end(text: str) -> int:
    return max(text.rfind("\n"), text.rfind("\r")) + 1


def _text(data: bytes, encoding: str, *, whole: bool) -> str:
    try:
        text = codecs.getincrementaldecoder(encoding)("strict" if whole else "ignore").decode(data, whole)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise InvalidFile(f"line {line} is not in {encoding} ({error.reason}): name the file's encoding") from None
    if "\0" in text:
        raise InvalidFile(f"line {text[: text.index(chr(0))].count(chr(10)) + 1} has a NUL byte: {NO_TEXT}")
    return text
