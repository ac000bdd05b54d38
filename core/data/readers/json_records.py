"""Reader of JSON records: a list of objects, or an object a line (JSON lines)."""

import codecs
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

from core.data.errors import InvalidFile
from core.data.readers.cell_table import CellTable, text_of
from core.data.readers.csv.stream import opened
from core.data.schema import Limits

READ_BYTES = 2**18
BLANKS = " \t\r\n"


@dataclass(frozen=True, slots=True)
class JsonRecords(CellTable):
    """Objects with the same names, in a list or a line each. Lists and objects inside are texts of JSON.

    The columns are all names, in the order in which they first occur; a name that an object lacks is missing there.
    """

    format: ClassVar[str] = "json"
    content_types: ClassVar[tuple[str, ...]] = (
        "application/json",
        "application/jsonl",
        "application/x-ndjson",
        "application/x-jsonlines",
    )
    suffixes: ClassVar[tuple[str, ...]] = (".json", ".jsonl", ".ndjson")

    @classmethod
    def recognizes(cls, head: bytes) -> bool:
        """Return whether the first bytes are those of an object with a name, or of a list of such."""
        text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
        text = text[1:].lstrip() if text.startswith(b"[") else text
        return text.startswith(b"{") and text[1:].lstrip().startswith((b'"', b"}"))

    def records(self, path: Path, limits: Limits) -> Iterator[list[str]]:
        """Yield the names of the columns, then the rows. The file is read twice: first for the names.

        Raises `InvalidFile`.
        """
        names: dict[str, None] = {}
        for number, record in enumerate(_objects(path, limits), 1):
            names.update(dict.fromkeys(record))
            if len(names) > limits.columns:
                raise InvalidFile(f"record {number}: more than {limits.columns} different names: remove some")
        if not names:
            raise InvalidFile('the file has no records: write objects such as {"age": 20, "city": "Oslo"}')
        yield list(names)
        for record in _objects(path, limits):
            yield [text_of(record.get(name)) for name in names]


def _objects(path: Path, limits: Limits) -> Iterator[dict[str, Any]]:
    with opened(path) as file:
        for number, value in enumerate(_values(file, limits), 1):
            if not isinstance(value, dict):
                raise InvalidFile(f"record {number} is no object: write each record as an object by column")
            yield value


def _values(file: BinaryIO, limits: Limits) -> Iterator[Any]:
    """Yield the values of a list or of lines, holding one at a time."""
    decoder = json.JSONDecoder()
    text = _Text(file, limits.record_bytes)
    in_list = text.peek() == "["
    if in_list:
        text.skip(1)
    number = 0
    while (begin := text.peek()) not in {"", "]"}:
        number += 1
        yield text.value(decoder, number)
        if in_list and text.peek() == ",":
            text.skip(1)
            if text.peek() == "]":
                raise InvalidFile(f"a comma follows record {number}, the last: remove it")
        elif in_list and text.peek() != "]":
            raise InvalidFile(f"record {number} is not followed by a comma or the end of the list: close it with ]")
    if in_list:
        if begin != "]":
            raise InvalidFile("the list has no end: close it with ]")
        text.skip(1)
    if text.peek():
        raise InvalidFile("text follows the end of the list: remove it")


class _Text:
    """The text of a file, of which one value and the block after it are held."""

    def __init__(self, file: BinaryIO, max_characters: int) -> None:
        self._file = file
        self._max_characters = max_characters
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._text = ""
        self._at = 0
        self._ended = False

    def peek(self) -> str:
        """Return the next character that is not blank; empty at the end."""
        while True:
            while self._at < len(self._text) and self._text[self._at] in BLANKS:
                self._at += 1
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._read():
                return ""

    def skip(self, characters: int) -> None:
        """Go on after so many characters."""
        self._at += characters

    def value(self, decoder: json.JSONDecoder, number: int) -> Any:
        """Return the value that begins here. Raises `InvalidFile` with the number of the record."""
        while True:
            try:
                value, end = decoder.raw_decode(self._text, self._at)
            except (ValueError, RecursionError) as error:
                if not self._ended and len(self._text) - self._at > self._max_characters:
                    message = f"record {number} has no end, or is longer than {self._max_characters} characters"
                    raise InvalidFile(f"{message}: close it, or shorten it") from None
                if self._ended:
                    raise InvalidFile(f"record {number} is no JSON ({error}): correct it") from None
                self._read()
                continue
            if end == len(self._text) and not self._ended:  # a number may go on in the next block
                self._read()
                continue
            self._at = end
            return value

    def _read(self) -> bool:
        """Read the next block; return False at the end of the file. What was read before is dropped."""
        if self._ended:
            return False
        block = self._file.read(READ_BYTES + len(self._text) - self._at)
        self._ended = not block
        try:
            self._text = self._text[self._at :] + self._decoder.decode(block, final=self._ended)
        except UnicodeDecodeError as error:
            raise InvalidFile(f"the file is not in UTF-8 ({error.reason}): save it as UTF-8") from None
        self._at = 0
        return True
