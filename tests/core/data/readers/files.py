"""Files of each format, and their schemas."""

import io
import sqlite3
import zipfile
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from xml.sax.saxutils import escape

import duckdb
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


def parquet_bytes(query: str) -> bytes:
    """Return a Parquet file with the rows of a DuckDB query."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "table"
        duckdb.connect().execute(f"COPY ({query}) TO '{file}' (FORMAT parquet)")
        return file.read_bytes()


def xlsx_bytes(*sheets: tuple[str, list[list[Any]]]) -> bytes:
    """Return an Excel workbook with these sheets: numbers, texts, booleans, and None for empty cells."""
    names = "".join(
        f'<sheet name="{name}" sheetId="{number}" r:id="rId{number}"/>' for number, (name, _) in enumerate(sheets, 1)
    )
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    targets = "".join(
        f'<Relationship Id="rId{number}" Type="{kind}/worksheet" Target="worksheets/sheet{number}.xml"/>'
        for number in range(1, len(sheets) + 1)
    )
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    relations = "http://schemas.openxmlformats.org/package/2006/relationships"
    root = f'<Relationship Id="rId1" Type="{kind}/officeDocument" Target="xl/workbook.xml"/>'
    parts = {
        "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>',
        "_rels/.rels": f'<Relationships xmlns="{relations}">{root}</Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{kind}"><sheets>{names}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{relations}">{targets}</Relationships>',
    }
    for number, (_, rows) in enumerate(sheets, 1):
        lines = "".join(f"<row>{''.join(map(_xlsx_cell, row))}</row>" for row in rows)
        parts[f"xl/worksheets/sheet{number}.xml"] = (
            f'<worksheet xmlns="{main}"><sheetData>{lines}</sheetData></worksheet>'
        )
    return _zipped(parts)


def _xlsx_cell(value: Any) -> str:
    if value is None:
        return "<c/>"
    if isinstance(value, bool):
        return f'<c t="b"><v>{int(value)}</v></c>'
    if isinstance(value, int | float):
        return f"<c><v>{value}</v></c>"
    return f'<c t="inlineStr"><is><t>{escape(value)}</t></is></c>'


def ods_bytes(rows: list[list[Any]]) -> bytes:
    """Return an OpenDocument spreadsheet with one sheet of numbers and texts."""
    names = "urn:oasis:names:tc:opendocument:xmlns"
    lines = "".join(f"<table:table-row>{''.join(map(_ods_cell, row))}</table:table-row>" for row in rows)
    content = (
        f'<office:document-content xmlns:office="{names}:office:1.0" xmlns:table="{names}:table:1.0" '
        f'xmlns:text="{names}:text:1.0"><office:body><office:spreadsheet><table:table table:name="one">{lines}'
        "</table:table></office:spreadsheet></office:body></office:document-content>"
    )
    kind = "application/vnd.oasis.opendocument.spreadsheet"
    manifest = (
        f'<manifest:manifest xmlns:manifest="{names}:manifest:1.0">'
        f'<manifest:file-entry manifest:full-path="/" manifest:media-type="{kind}"/></manifest:manifest>'
    )
    return _zipped({"mimetype": kind, "META-INF/manifest.xml": manifest, "content.xml": content})


def _ods_cell(value: Any) -> str:
    if isinstance(value, int | float):
        return f'<table:table-cell office:value-type="float" office:value="{value}"/>'
    return f'<table:table-cell office:value-type="string"><text:p>{escape(value)}</text:p></table:table-cell>'


def _zipped(parts: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        for name, text in parts.items():
            made.writestr(name, text)
    return buffer.getvalue()


def sqlite_bytes(*statements: str) -> bytes:
    """Return an SQLite database after some statements."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as database:
        for statement in statements:
            database.execute(statement)
        return database.serialize()
