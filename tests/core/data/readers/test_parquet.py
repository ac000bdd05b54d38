"""Tests of core/data/readers/parquet.py."""

from pathlib import Path
from typing import Any

import pytest

from core.data.errors import InvalidFile
from core.data.readers import load, rows
from core.data.readers.parquet import Parquet
from core.data.readers.tables.connection import NotReadable, locked_connection
from core.data.schema import Limits
from tests.core.data.readers.files import parquet_bytes


def table(folder: Path, query: str) -> Path:
    path = folder / "it's a file"
    path.write_bytes(parquet_bytes(query))
    return path


TYPES: list[tuple[str, str, Any]] = [
    ("7::TINYINT", "number", 7.0),
    ("9007199254740993::BIGINT", "number", 9007199254740992.0),
    ("0.1::FLOAT", "number", 0.1),
    ("1e-30::DOUBLE", "number", 1e-30),
    ("12.50::DECIMAL(9, 2)", "number", 12.5),
    ("true", "category", "true"),
    ("'red, \"x\"'", "category", 'red, "x"'),
    ("'0123'", "number", 123.0),
    ("DATE '2026-01-31'", "category", "2026-01-31"),
    ("TIMESTAMP '2026-01-31 12:30:00'", "category", "2026-01-31 12:30:00"),
    ("[1, 2]", "category", "[1, 2]"),
]


@pytest.mark.parametrize(("value", "kind", "expected"), TYPES)
def test_values_of_each_type_have_their_text(tmp_path: Path, value: str, kind: str, expected: Any) -> None:
    path = table(tmp_path, f"SELECT {value} AS v FROM range(30)")
    schema = Parquet().infer_schema(path, {}, Limits())
    assert (schema.rows, schema.columns[0].type) == (30, kind)
    assert rows(path, schema, 29, 5) == [{"v": expected}]


def test_missing_values_are_missing(tmp_path: Path) -> None:
    path = table(tmp_path, "SELECT * FROM (VALUES (1.5, 'a'), (NULL, NULL), ('nan'::DOUBLE, 'b')) AS t(n, s)")
    schema = Parquet().infer_schema(path, {}, Limits())
    assert [column.missing for column in schema.columns] == [2, 1]
    assert load(path, schema, ["s"])["s"].tolist() == [0, -1, 1]


def test_many_groups_of_rows_are_read(tmp_path: Path) -> None:
    path = table(tmp_path, "SELECT range AS n FROM range(300000)")
    schema = Parquet().infer_schema(path, {}, Limits())
    assert (schema.rows, schema.columns[0].max) == (300_000, 299_999)
    assert load(path, schema, ["n"])["n"].sum() == 299_999 * 150_000


@pytest.mark.parametrize(
    ("query", "limits", "message"),
    [
        ("SELECT 'x'::BLOB AS b", Limits(), 'column "b" has values of type BLOB'),
        ("SELECT 1 AS a, 2 AS b FROM range(9)", Limits(cells=10), "more than 10 cells"),
        ("SELECT 1 AS a, 2 AS b", Limits(columns=1), "has 2 columns, more than 1"),
        ("SELECT repeat('x', 500) AS a", Limits(record_bytes=100), "row 1 is longer than 100"),
        ("SELECT 1 AS a LIMIT 0", Limits(), "no rows"),
    ],
)
def test_table_beyond_the_limits_is_refused(tmp_path: Path, query: str, limits: Limits, message: str) -> None:
    with pytest.raises(InvalidFile, match=message):
        Parquet().infer_schema(table(tmp_path, query), {}, limits)


@pytest.mark.parametrize("cut", [0.3, 0.9])
def test_damaged_file_is_refused_without_its_path(tmp_path: Path, cut: float) -> None:
    path = table(tmp_path, "SELECT range AS n FROM range(1000)")
    path.write_bytes(path.read_bytes()[: int(cut * path.stat().st_size)])
    with pytest.raises(InvalidFile, match="cannot be read as Parquet") as caught:
        Parquet().infer_schema(path, {}, Limits())
    assert str(tmp_path) not in caught.value.message


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM read_csv('/etc/hostname')",
        "SELECT * FROM read_parquet('/tmp/other')",
        "COPY (SELECT 1) TO '/tmp/chainrule-written.csv'",
        "SET threads = 2",
        "INSTALL httpfs",
        "LOAD httpfs",
    ],
)
def test_connection_reads_one_file_and_nothing_else(tmp_path: Path, query: str) -> None:
    path = table(tmp_path, "SELECT 1 AS a")
    with pytest.raises(NotReadable), locked_connection(path) as connection:
        connection.execute(query)
