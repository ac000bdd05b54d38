"""Files of each format, and their schemas."""

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
    """Write a CSV file with this content, and return its schema."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return Csv(**layout).infer_schema(path, types or {}, limits or Limits())


def npy_bytes(array: Any) -> bytes:
    """Return a file of one array."""
    file = io.BytesIO()
    np.save(file, np.asanyarray(array), allow_pickle=True)
    return file.getvalue()


def npy_schema(path: Path, content: Any, limits: Limits | None = None) -> Schema:
    """Write an .npy file with this array or these bytes, and return its schema."""
    path.write_bytes(content if isinstance(content, bytes) else npy_bytes(content))
    return Npy().infer_schema(path, {}, limits or Limits())


def npz_bytes(**arrays: Any) -> bytes:
    """Return an archive of arrays."""
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def npz_schema(path: Path, content: bytes, limits: Limits | None = None) -> Schema:
    """Write an archive with these bytes, and return its schema."""
    path.write_bytes(content)
    return Npz().infer_schema(path, {}, limits or Limits())
