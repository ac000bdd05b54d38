"""Files as a client may send them, for tests of this room."""

import io
from pathlib import Path
from typing import Any

import numpy as np

from core.data.readers.csv import Csv
from core.data.readers.npy import Npy
from core.data.readers.npz import Npz
from core.data.schema import ColumnType, Limits, Schema


def csv_schema(
    path: Path,
    content: str | bytes,
    *,
    types: dict[str, ColumnType] | None = None,
    limits: Limits | None = None,
    **layout: Any,
) -> Schema:
    """The schema of a CSV file with this content, written at the path."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return Csv(**layout).inspect(path, types or {}, limits or Limits())


def npy_bytes(array: Any) -> bytes:
    """A file of one array."""
    file = io.BytesIO()
    np.save(file, np.asanyarray(array), allow_pickle=True)
    return file.getvalue()


def npy_schema(path: Path, content: Any, limits: Limits | None = None) -> Schema:
    """The schema of an .npy file with this array, or these bytes, written at the path."""
    path.write_bytes(content if isinstance(content, bytes) else npy_bytes(content))
    return Npy().inspect(path, {}, limits or Limits())


def npz_bytes(**arrays: Any) -> bytes:
    """An archive of arrays."""
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def npz_schema(path: Path, content: bytes, limits: Limits | None = None) -> Schema:
    """The schema of an archive with these bytes, written at the path."""
    path.write_bytes(content)
    return Npz().inspect(path, {}, limits or Limits())
