"""Tests of core/data/readers/csv.py."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.data.errors import InvalidFile
from core.data.readers import reader_of
from core.data.readers.cell_table import is_header
from core.data.readers.csv import Csv
from core.data.schema import Limits, Schema
from tests.core.data.readers.files import csv_schema

ONE = "age,city\n20,Oslo\n30,Bergen\n,Oslo\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "table.csv"


def read_as(schema: Schema, *options: str) -> list[Any]:
    """Return the values by which a file was read."""
    return [schema.layout["read_as"][option]["value"] for option in options]


def test_infer_schema_describes_each_column(path: Path) -> None:
    schema = csv_schema(path, ONE)
    age, city = schema.columns
    assert (schema.rows, read_as(schema, "delimiter", "header")) == (3, [",", True])
    assert (age.type, age.missing, age.min, age.max, age.mean, age.std) == ("number", 1, 20, 30, 25, 5)
    assert (city.type, city.missing, city.classes) == ("category", 0, (("Bergen", 1), ("Oslo", 2)))


EQUIVALENT = {
    "unchanged": ONE.encode(),
    "with a byte order mark": b"\xef\xbb\xbf" + ONE.encode(),
    "CRLF": ONE.replace("\n", "\r\n").encode(),
    "no last line end": ONE.rstrip().encode(),
    "empty lines": ONE.replace("\n", "\n\n").encode(),
    "semicolons": ONE.replace(",", ";").encode(),
    "tabs": ONE.replace(",", "\t").encode(),
    "bars": ONE.replace(",", "|").encode(),
    "blanks": ONE.replace(",", " , ").encode(),
    "quotes": b'"age","city"\n"20","Oslo"\n"30","Bergen"\n"","Oslo"\n',
    "missing as text": ONE.replace("\n,", "\nNA,").encode(),
}


@pytest.mark.parametrize("content", EQUIVALENT.values(), ids=EQUIVALENT.keys())
def test_infer_schema_of_equivalent_layouts_is_equal(path: Path, content: bytes) -> None:
    expected = csv_schema(path, ONE).columns
    assert csv_schema(path, content).columns == expected


def test_quoted_cells_may_have_delimiters_line_ends_and_quotes(path: Path) -> None:
    schema = csv_schema(path, 'a,b\n1,"x,\ny ""z"""\n2,w\n')
    assert schema.columns[1].classes == (("w", 1), ('x,\ny "z"', 1))


def test_infer_delimiter_with_quoted_line_ends_finds_it(path: Path) -> None:
    assert read_as(csv_schema(path, 'a;b\n1;"x, y\n, z"\n2;w\n'), "delimiter") == [";"]


HEADERS = [
    (["age", "city"], True),
    (["1", "2"], False),
    (["1.5", "", "NA"], False),
    (["5.1", "3.5", "setosa"], False),
    (["63", "Male", "145"], False),
    (["1", "male"], False),
    (["0", "1", "2", "target"], True),
    (["label", "1", "2", "3"], True),
    (["", "a"], True),
    (["city", "2019", "2020"], True),
    (["1990", "2000", "2010", "region"], True),
    (["country", "2021", "2020", "2019"], True),
    (["city", "2019"], False),
    (["city", "2019", "2019"], False),
    (["city", "2019", "2020", "2023"], False),
    (["city", "2019.5", "2020.5"], False),
    (["city", "3000", "3001"], False),
    (["2019", "2020"], False),
]


@pytest.mark.parametrize(("first", "header"), HEADERS)
def test_is_header_by_the_cells_of_the_first_row(first: list[str], header: bool) -> None:
    assert is_header(first) is header


def test_a_header_of_years_names_the_columns(path: Path) -> None:
    schema = csv_schema(path, "city,2019,2020\nOslo,1,2\nBergen,3,4\n")
    assert [(column.name, column.type) for column in schema.columns] == [
        ("city", "category"),
        ("2019", "number"),
        ("2020", "number"),
    ]
    assert schema.rows == 2


def test_columns_without_header_are_numbered(path: Path) -> None:
    schema = csv_schema(path, "1,2\n3,4\n")
    assert [column.name for column in schema.columns] == ["0", "1"]
    assert (schema.rows, read_as(schema, "header")) == (2, [False])


def test_options_override_inference(path: Path) -> None:
    assert csv_schema(path, "a,b\nc,d\n", header=False).rows == 2
    assert [column.name for column in csv_schema(path, "1;2\n3;4\n", header=True, delimiter=";").columns] == ["1", "2"]


def test_types_override_inference(path: Path) -> None:
    schema = csv_schema(path, "zip,n\n1,1\n2,2\n", types={"zip": "category", "n": "text"})
    assert [column.type for column in schema.columns] == ["category", "text"]
    assert schema.columns[0].classes == (("1", 1), ("2", 1))


WRONG: list[tuple[Any, str]] = [
    ("", "the file is empty"),
    ("\n\n", "the file is empty"),
    ("a,b\n", "a header and no rows"),
    ("a,b\n1,2\n3\n4,5\n", "row 2 has 1 cells and not 2"),
    ("a,b\n1,2\n3,4,5\n", "row 2 has 3 cells and not 2"),
    ("a,b\n1,2\n\n\n3,4,5\n6,7\n", "row 2 has 3 cells and not 2"),
    ("a,a\n1,2\n", 'columns 1 and 2 are both named "a"'),
    ("a,\n1,2\n", "column 2 has no name"),
    (f"{'n' * 300},b\n1,2\n", "name of column 1 is longer"),
    ("a,b\né,\n".encode() + b"1,\x81\n", "line 3 is not in windows-1252"),
    (b"a,b\n1,\x00\n", "line 2 has a NUL"),
    ('a,b\n1,"2\n', "has a quote that is not closed"),
    ('a,b\n1,"2"3\n', "text after a closing quote"),
    ("a,b\n1,2\n1e999,3\n", 'row 2, column "a": "1e999" is outside the range of float32'),
    ("a,b\n1,2\n,1\n-inf,3\n", 'row 3, column "a": "-inf" is outside the range'),
    ("a,b\n1,1e39\n", 'row 1, column "b": "1e39" is outside the range'),
]


@pytest.mark.parametrize(("content", "message"), WRONG)
def test_invalid_file_names_the_place(path: Path, content: Any, message: str) -> None:
    with pytest.raises(InvalidFile, match=message):
        csv_schema(path, content)


def test_types_that_do_not_match_the_file_are_refused(path: Path) -> None:
    with pytest.raises(InvalidFile, match='row 2, column "a": "x" is not a number'):
        csv_schema(path, "a,b\n1,2\nx,3\n", types={"a": "number"})
    with pytest.raises(InvalidFile, match='types names a column "c", and the file has "a", "b"'):
        csv_schema(path, "a,b\n1,2\n", types={"c": "number"})
    with pytest.raises(InvalidFile, match='column "a" cannot be a category'):
        csv_schema(path, "a,b\n1,2\n2,2\n3,2\n", types={"a": "category"}, limits=Limits(categories=2))


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (Limits(cells=5), "more than 5 cells"),
        (Limits(columns=1), "has 2 columns, more than 1"),
    ],
)
def test_files_above_the_limits_are_refused(path: Path, limits: Limits, message: str) -> None:
    with pytest.raises(InvalidFile, match=message):
        csv_schema(path, ONE, limits=limits)


@pytest.mark.parametrize("opening", [b"a,b\n1,", b'a,b\n1,"'])
@pytest.mark.parametrize("filling", [b"x", b'"\n",'])
def test_cell_of_a_hundred_megabytes_is_refused(path: Path, opening: bytes, filling: bytes) -> None:
    with path.open("wb") as file:
        file.write(opening)
        for _ in range(100):
            file.write(filling * (2**20 // len(filling)))
    with pytest.raises(InvalidFile, match=r"longer than|not closed|columns, more than"):
        csv_schema(path, path.read_bytes())


def test_load_returns_numbers_and_category_codes(path: Path) -> None:
    schema = csv_schema(path, ONE)
    loaded = reader_of(schema).load(path, schema, schema.columns)
    np.testing.assert_array_equal(loaded["age"], [20, 30, np.nan])
    assert loaded["city"].tolist() == [1, 0, 1]
    assert (loaded["age"].dtype, loaded["city"].dtype) == (np.dtype("f8"), np.dtype("i4"))


def test_load_missing_category_is_minus_one(path: Path) -> None:
    schema = csv_schema(path, "a,b\nx,1\nNULL,2\ny,3\n")
    assert reader_of(schema).load(path, schema, schema.columns[:1])["a"].tolist() == [0, -1, 1]


@pytest.mark.parametrize(
    "changed",
    [
        "age,city\n20,Oslo\n",
        ONE + "1,Oslo\n",
        ONE.replace("30", "thirty"),
        ONE.replace("Bergen", "Paris"),
    ],
)
def test_load_of_a_changed_file_is_refused(path: Path, changed: str) -> None:
    schema = csv_schema(path, ONE)
    path.write_text(changed)
    with pytest.raises(InvalidFile):
        reader_of(schema).load(path, schema, schema.columns)


def test_rows_returns_a_page_as_stored(path: Path) -> None:
    schema = csv_schema(path, ONE)
    assert reader_of(schema).rows(path, schema, 1, 5) == [{"age": 30, "city": "Bergen"}, {"age": None, "city": "Oslo"}]
    assert reader_of(schema).rows(path, schema, 3, 5) == []


def test_infer_schema_and_load_of_many_chunks_keep_every_row(path: Path) -> None:
    values = np.arange(100_000.0)
    schema = csv_schema(path, "n,m\n" + "".join(f"{n},{n % 7}\n" for n in range(100_000)))
    assert schema.columns[0].mean == pytest.approx(values.mean())
    assert schema.columns[1].distinct == 7
    np.testing.assert_array_equal(reader_of(schema).load(path, schema, schema.columns)["n"], values)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(st.one_of(st.binary(max_size=200), st.text('a1,;"\n\r\t |.?e', max_size=60).map(str.encode)))
def test_any_bytes_are_a_table_or_invalid_file(path: Path, content: bytes) -> None:
    try:
        schema = csv_schema(path, content)
    except InvalidFile:
        return
    assert Schema.from_json(schema.to_json()) == schema
    reader = Csv.of(schema)
    usable = [column for column in schema.columns if column.type != "text"]
    assert all(len(array) == schema.rows for array in reader.load(path, schema, usable).values())
    assert len(reader.rows(path, schema, 0, 1000)) == schema.rows
