"""Instances of a prediction that are not JSON: CSV, .npy and text bodies, as `encode` of the features takes them.

The same limits apply as to uploads.
"""

from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.data.cells import parse_number
from core.data.errors import InvalidFile
from core.data.readers.csv import Csv
from core.data.readers.numpy_array import NUMBER, read_blocks, read_header
from core.data.schema import Limits


def instances_from_csv(body: bytes, limits: Limits | None = None) -> list[Any]:
    """Return the records: objects of texts by column where the body has a header, else lists of numbers and texts.

    Raises `InvalidFile`.
    """
    limits = limits or Limits()
    file = BytesIO(body)
    reader = Csv().infer_options(file, limits)
    chunks = reader.chunks(file, limits)
    names = next(chunks)[0]
    if reader.header:
        return [dict(zip(names, row, strict=True)) for chunk in chunks for row in chunk]
    return [[_number_or_text(cell) for cell in row] for chunk in chunks for row in chunk]


def _number_or_text(cell: str) -> float | str:
    number = parse_number(cell.strip())
    return cell if number is None else number


def instance_from_text(body: bytes) -> list[Any]:
    """Return one record: a list of the text. Raises `InvalidFile`."""
    try:
        return [[body.decode()]]
    except UnicodeDecodeError as error:
        raise InvalidFile(f"the text is not in UTF-8 ({error.reason}, byte {error.start}): encode it so") from None


def instances_from_npy(body: bytes, limits: Limits | None = None) -> NDArray[Any]:
    """Return the array, whose first axis counts the instances. Raises `InvalidFile`."""
    file = BytesIO(body)
    header = read_header(file, len(body), "the array", limits or Limits())
    if header.value_type != NUMBER:
        raise InvalidFile(f"the array is of type {header.dtype}: give numbers")
    array = np.concatenate(list(read_blocks(file, header, "the array")))
    return array.astype(header.loaded_dtype, copy=False)
