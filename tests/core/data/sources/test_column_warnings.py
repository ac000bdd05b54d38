"""Tests of core/data/sources/column_warnings.py."""

from pathlib import Path

import pytest

from core.data.errors import InvalidData
from core.data.sources.dataset import DatasetReference
from core.warnings import WarningMessage
from tests.core.data.readers.files import csv_schema

ROWS = 60


def warnings_of(folder: Path, cells: list[str], target: list[str] | None = None) -> dict[str, WarningMessage]:
    """Return the warnings about a column with these cells, by code; the others are fine."""
    target = target or ["a", "b"] * (ROWS // 2)
    lines = [f"{cell},{row},{name}" for row, (cell, name) in enumerate(zip(cells, target, strict=True))]
    schema = csv_schema(folder / "table.csv", "\n".join(["column,number,target", *lines, ""]))
    found = DatasetReference(id="ds_1", target="target").signature(schema).warnings
    return {warning.code: warning for warning in found}


def test_nearly_numeric_column_names_the_first_cell_that_is_no_number(tmp_path: Path) -> None:
    cells = [str(row % 7) for row in range(ROWS)]
    cells[40], cells[50] = "1,20x", "twelve"
    (found,) = [warnings_of(tmp_path, [f'"{cell}"' for cell in cells])["nearly_numeric"]]
    assert 'the first is "1,20x" in row 41' in found.message
    assert "2 of 60 cells are not" in found.message


def test_words_are_not_nearly_numeric(tmp_path: Path) -> None:
    assert "nearly_numeric" not in warnings_of(tmp_path, ["red", "blue", "7"] * 20)
    assert "nearly_numeric" not in warnings_of(tmp_path, [str(row) for row in range(ROWS)])


def test_constant_columns_are_named(tmp_path: Path) -> None:
    assert '"column" has the same value' in warnings_of(tmp_path, ["5"] * ROWS)["constant_column"].message
    assert '"column" has the same value' in warnings_of(tmp_path, ["red"] * ROWS)["constant_column"].message


def test_column_that_is_constant_or_missing_is_not_constant(tmp_path: Path) -> None:
    assert "constant_column" not in warnings_of(tmp_path, ["5", ""] * (ROWS // 2))


def test_single_wrong_cell_of_a_small_table_is_named(tmp_path: Path) -> None:
    schema = csv_schema(tmp_path / "table.csv", "a,target\n1,1\n2,2\n3,1\n4,2\nfive,1\n6,2\n")
    (found,) = DatasetReference(id="ds_1", target="target").signature(schema).warnings
    assert (found.code, 'the first is "five" in row 5' in found.message) == ("nearly_numeric", True)


def test_target_that_is_nearly_numeric_is_named_at_its_place(tmp_path: Path) -> None:
    target = [str(row % 9) for row in range(ROWS)]
    target[7] = "n.n."
    found = warnings_of(tmp_path, [str(row) for row in range(ROWS)], target)["nearly_numeric"]
    assert (found.pointer, 'the first is "n.n." in row 8' in found.message) == ("/data/target", True)


def test_target_of_texts_that_is_nearly_numeric_names_its_first_wrong_cell(tmp_path: Path) -> None:
    target = [f"{row}.5" for row in range(ROWS)]
    target[7] = "unknown"
    with pytest.raises(InvalidData, match='1 cells, the first of them "unknown" in row 8'):
        warnings_of(tmp_path, [str(row) for row in range(ROWS)], target)


def test_text_column_that_is_left_out_is_named(tmp_path: Path) -> None:
    found = warnings_of(tmp_path, [f"text number {row}" for row in range(ROWS)])["column_left_out"]
    assert 'column "column" is text, and is left out' in found.message
