"""Bodies of a prediction that are no JSON: CSV and .npy become instances for `Features.encode`.

They are held to the same limits as uploads.
"""

from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.data.cells import number
from core.data.errors import InvalidFile
from core.data.readers.csv import Csv
from core.data.readers.npy import KINDS, blocks, read_header
from core.data.schema import Limits


def instances_from_csv(body: bytes, limits: Limits | None = None) -> list[Any]:
    """Records as objects by column, of texts, where the body has a header; else lists, with numbers as numbers.

    Raises `InvalidFile`.
    """
    bounds = limits or Limits()
    file = BytesIO(body)
    layout = Csv().settled(file, bounds)
    chunks = layout.chunks(file, bounds)
    names = next(chunks)[0]
    if layout.header:
        return [dict(zip(names, row, strict=True)) for chunk in chunks for row in chunk]
    return [[_value(cell) for cell in row] for chunk in chunks for row in chunk]


def _value(cell: str) -> float | str:
    found = number(cell.strip())
    return cell if found is None else found


def instances_from_npy(body: bytes, limits: Limits | None = None) -> NDArray[Any]:
    """The array, its first axis the instances. Raises `InvalidFile`."""
    file = BytesIO(body)
    header = read_header(file, len(body), "the array", limits or Limits())
    if KINDS[header.dtype.kind] != "number":
        raise InvalidFile(f"the array holds {header.dtype}: give numbers")
    array = np.concatenate(list(blocks(file, header, "the array")))
    return array.astype(header.held, copy=False)
