"""Instances of a prediction that are not JSON: CSV, .npy, text and file bodies, as `encode` of the features takes them.

The same limits apply as to uploads.
"""

import csv
import io
from collections.abc import Sequence
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.data.cells import parse_number
from core.data.errors import InvalidFile
from core.data.readers.numpy_array import NUMBER, read_blocks, read_header
from core.data.schema import Limits

DELIMITERS = ",;\t|"


def instances_from_csv(body: bytes, columns: Sequence[str] = (), limits: Limits | None = None) -> list[Any]:
    """Return the records of a body for a model with these columns; without columns, an instance is a list of numbers.

    The first row is a header exactly if it names columns of the model: all of them, perhaps beside others, or some of
    them and nothing else. Then records are objects, else lists in the order of the columns. Cells stay texts, which the
    model's encoders read: `01` is the category `01`, not the number 1.

    Raises `InvalidFile`.
    """
    limits = limits or Limits()
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidFile(f"byte {error.start + 1} is not UTF-8: save the file as UTF-8") from None
    if "\0" in text:
        raise InvalidFile("the body has a NUL byte, so it is not CSV text: save it as UTF-8")
    rows = _rows(text, _delimiter(text, columns), limits)
    if not columns:
        return [[_number_or_text(cell) for cell in row] for row in rows]
    if rows and _is_header(rows[0], columns):
        names = [name.strip() for name in rows[0]]
        if len(set(names)) < len(names):
            raise InvalidFile("the header names a column twice: rename one of them")
        return [dict(zip(names, row, strict=True)) for row in rows[1:]]
    return rows


def _rows(text: str, delimiter: str, limits: Limits) -> list[list[str]]:
    rows: list[list[str]] = []
    cells = 0
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        for row in reader:
            if not row:
                continue
            if rows and len(row) != len(rows[0]):
                found = f"line {reader.line_num} has {len(row)} cells and the first has {len(rows[0])}"
                raise InvalidFile(f"{found}: give each row as many")
            cells += len(row)
            if cells > limits.cells or len(row) > limits.columns:
                raise InvalidFile(
                    f"the body has more than {limits.cells} cells or {limits.columns} columns: send fewer"
                )
            rows.append(row)
    except csv.Error as error:
        raise InvalidFile(f"line {reader.line_num}: {error}: correct the quotes") from None
    return rows


def _delimiter(text: str, columns: Sequence[str]) -> str:
    """Return the delimiter by which the first line fits the model best: a header, the right number, the most cells."""
    first = next((line for line in text.splitlines() if line.strip()), "")

    def fit(delimiter: str) -> tuple[bool, bool, int]:
        try:
            row = next(csv.reader([first], delimiter=delimiter), [])
        except csv.Error:
            return False, False, 0
        return _is_header(row, columns), len(row) == len(columns), len(row)

    return max(DELIMITERS, key=fit)


def _is_header(row: Sequence[str], columns: Sequence[str]) -> bool:
    cells, names = {cell.strip() for cell in row}, set(columns)
    return bool(names) and (cells >= names or cells <= names)


def _number_or_text(cell: str) -> float | str:
    number = parse_number(cell.strip())
    return cell if number is None else number


def instance_from_text(body: bytes) -> list[Any]:
    """Return one record: a list of the text. Raises `InvalidFile`."""
    try:
        return [[body.decode()]]
    except UnicodeDecodeError as error:
        raise InvalidFile(f"the text is not in UTF-8 ({error.reason}, byte {error.start}): encode it so") from None


def instance_from_file(body: bytes) -> list[Any]:
    """Return one record: a list of the file's content."""
    return [[body]]


def instances_from_npy(body: bytes, limits: Limits | None = None) -> NDArray[Any]:
    """Return the array, whose first axis counts the instances. Raises `InvalidFile`."""
    file = BytesIO(body)
    header = read_header(file, len(body), "the array", limits or Limits())
    if header.value_type != NUMBER:
        raise InvalidFile(f"the array is of type {header.dtype}: give numbers")
    array = np.concatenate(list(read_blocks(file, header, "the array")))
    return array.astype(header.loaded_dtype, copy=False)
