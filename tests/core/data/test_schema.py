"""Tests of core/data/schema.py."""

import json
from dataclasses import replace

from core.data.schema import Column, Schema

SCHEMA = Schema(
    format="csv",
    rows=3,
    columns=(
        Column(name="a", type="number", rows=3, missing=1, min=0.1, max=0.3, mean=0.2, std=0.1, integers=False),
        Column(name="b", type="category", rows=3, distinct=2, classes=(("x", 1), ("y", 2))),
    ),
    layout={"delimiter": ";", "header": False},
)


def test_json_round_trip_gives_an_equal_schema() -> None:
    assert Schema.from_json(json.loads(json.dumps(SCHEMA.to_json(), allow_nan=False))) == SCHEMA


def test_column_by_name() -> None:
    assert SCHEMA.column("b") is SCHEMA.columns[1]
    assert SCHEMA.column("c") is None


def test_fingerprint_depends_on_bytes_format_and_types() -> None:
    others = [replace(SCHEMA, format="npy"), replace(SCHEMA, columns=SCHEMA.columns[:1])]
    prints = [SCHEMA.fingerprint("a"), SCHEMA.fingerprint("b"), *(other.fingerprint("a") for other in others)]
    assert len(set(prints)) == 4
    assert replace(SCHEMA, rows=4).fingerprint("a") == SCHEMA.fingerprint("a")
