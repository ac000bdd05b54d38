"""A schema is stored as JSON and comes back the same."""

import json

from core.data.schema import Column, Schema

SCHEMA = Schema(
    format="csv",
    rows=3,
    columns=(
        Column(name="a", type="number", rows=3, missing=1, min=0.1, max=0.3, mean=0.2, std=0.1, integers=False),
        Column(name="b", type="category", rows=3, distinct=2, classes=(("x", 1), ("y", 2))),
    ),
    delimiter=";",
    header=False,
)


def test_a_schema_is_stored_as_json() -> None:
    assert Schema.from_json(json.loads(json.dumps(SCHEMA.to_json(), allow_nan=False))) == SCHEMA


def test_columns_are_found_by_name() -> None:
    assert SCHEMA.column("b") is SCHEMA.columns[1]
    assert SCHEMA.column("c") is None


def test_records_or_arrays() -> None:
    assert SCHEMA.table
    assert not Schema(format="npz", rows=1, columns=()).table
