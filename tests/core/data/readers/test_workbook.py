"""Tests of core/data/readers/workbook.py."""

from pathlib import Path
from typing import Any

import pytest

from core.data.errors import InvalidFile
from core.data.readers import load, rows
from core.data.readers.workbook import Workbook
from core.data.schema import Limits, Schema
from tests.core.data.readers.files import ods_bytes, xlsx_bytes

PEOPLE: list[list[Any]] = [
    ["age", "city", "member"],
    [20, "Oslo", True],
    [30.5, "Bergen & co", False],
    [None, "Oslo", True],
]


def schema_of(path: Path, content: bytes, limits: Limits | None = None, **options: Any) -> Schema:
    path.write_bytes(content)
    return Workbook(**options).infer_schema(path, {}, limits or Limits())


def test_cells_have_their_values(tmp_path: Path) -> None:
    path = tmp_path / "book"
    schema = schema_of(path, xlsx_bytes(("people", PEOPLE)))
    assert [(column.name, column.type) for column in schema.columns] == [
        ("age", "number"),
        ("city", "category"),
        ("member", "category"),
    ]
    assert rows(path, schema, 0, 9) == [
        {"age": 20.0, "city": "Oslo", "member": "true"},
        {"age": 30.5, "city": "Bergen & co", "member": "false"},
        {"age": None, "city": "Oslo", "member": "true"},
    ]
    assert load(path, schema, ["city"])["city"].tolist() == [1, 0, 1]


def test_open_document_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "book"
    schema = schema_of(path, ods_bytes([["a", "b"], [1, "x"], [2.5, "y"]]))
    assert rows(path, schema, 0, 9) == [{"a": 1.0, "b": "x"}, {"a": 2.5, "b": "y"}]


def test_sheet_with_cells_is_the_default_and_another_can_be_named(tmp_path: Path) -> None:
    path = tmp_path / "book"
    book = xlsx_bytes(("empty", []), ("first", [["a"], [1]]), ("second", [["b"], [2], [3]]))
    assert schema_of(path, book).columns[0].name == "a"
    schema = schema_of(path, book, sheet="second")
    assert (schema.columns[0].name, schema.rows, schema.layout) == ("b", 2, {"sheet": "second"})
    assert rows(path, Schema.from_json(schema.to_json()), 1, 1) == [{"b": 3.0}]
    with pytest.raises(InvalidFile, match='there is no sheet "third": the workbook has "empty", "first", "second"'):
        schema_of(path, book, sheet="third")


def test_empty_rows_and_columns_are_left_out(tmp_path: Path) -> None:
    sheet: list[list[Any]] = [[None, "a", None, "b"], [None, None, None, None], [None, 1, None, 2], [None, 3, None, 4]]
    schema = schema_of(tmp_path / "book", xlsx_bytes(("one", sheet)))
    assert ([column.name for column in schema.columns], schema.rows) == (["a", "b"], 2)


def test_sheet_without_names_has_numbers_for_them(tmp_path: Path) -> None:
    schema = schema_of(tmp_path / "book", xlsx_bytes(("one", [[1, 2], [3, 4]])))
    assert ([column.name for column in schema.columns], schema.rows) == (["0", "1"], 2)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (xlsx_bytes(("one", [])), "the sheet has no cells"),
        (xlsx_bytes(("one", [["a"], [1]]))[:200], "cannot be read as a workbook"),
        (b"PK\x03\x04" + bytes(100), "cannot be read as a workbook"),
        (bytes.fromhex("d0cf11e0a1b11ae1") + bytes(600), "cannot be read as a workbook"),
        (xlsx_bytes(("one", [["a", "a"], [1, 2]])), 'both named "a"'),
        (xlsx_bytes(("one", [["a", "b"]])), "a header and no rows"),
    ],
)
def test_workbook_that_is_no_table_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(InvalidFile, match=message):
        schema_of(tmp_path / "book", content)


def test_workbook_beyond_the_limits_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidFile, match="more than 1 cells"):
        schema_of(tmp_path / "book", xlsx_bytes(("one", [["a", "b"], [1, 2]])), Limits(cells=1))
