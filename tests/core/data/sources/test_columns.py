"""Tests of core/data/sources/columns.py."""

from dataclasses import replace
from typing import Any

import pytest

from core.data.encoders.characters import CharactersOptions
from core.data.encoders.one_hot import OneHotOptions
from core.data.encoders.words import WordsOptions
from core.data.errors import InvalidData
from core.data.schema import Column, Schema
from core.data.sources.columns import ColumnNames, EncodedColumn, SelectedColumns, select_columns, target_of
from core.data.targets.classes import Classes
from core.data.targets.numbers import Numbers

AGE = Column(name="age", type="number", rows=9, missing=2, min=1.0, max=90.0)
INCOME = Column(name="income", type="number", rows=9, min=0.0, max=5.0, integers=True, distinct=3)
CITY = Column(name="city", type="category", rows=9, classes=(("Bergen", 4), ("Oslo", 5)))
NAME = Column(name="name", type="text", rows=9)
EMPTY = Column(name="empty", type="number", rows=9, missing=9)
BELOW = Column(name="below", type="number", rows=9, min=-1.0, max=1.0)
ZERO = Column(name="zero", type="number", rows=9, min=0.0, max=0.0)
ONE = Column(name="one", type="category", rows=9, classes=(("a", 9),))
TABLE = Schema(format="csv", rows=9, columns=(AGE, INCOME, CITY, NAME, EMPTY, ONE))
WITH_WEIGHTS = Schema(format="csv", rows=9, columns=(*TABLE.columns, BELOW, ZERO))

IMAGES = Column(name="x", type="number", rows=9, min=0.0, max=1.0, shape=(2, 2))
LABELS = Column(name="y", type="category", rows=9, classes=(("a", 4), ("b", 5)))
MORE = Column(name="more", type="number", rows=8, min=0.0, max=1.0, shape=(3,))
HOLES = Column(name="holes", type="number", rows=9, missing=1, min=0.0, max=1.0)
ARRAYS = Schema(format="npz", rows=9, columns=(IMAGES, LABELS, MORE, HOLES))


def encoded(column: str, encoder: Any = None) -> EncodedColumn:
    return EncodedColumn(column=column, encoder=encoder)


def selected(schema: Schema, features: Any = None, target: Any = None, sample_weight: Any = None) -> SelectedColumns:
    return select_columns(ColumnNames(features, target, sample_weight), schema)


def test_default_features_are_all_usable_columns() -> None:
    found = selected(TABLE, target="city")
    assert (found.features, found.target) == ([AGE, INCOME, ONE], CITY)
    assert [(warning.code, warning.message.partition(",")[0]) for warning in found.warnings] == [
        ("column_left_out", 'column "name" is text'),
        ("column_left_out", 'column "empty" has no values'),
        ("constant_column", '"one" has the same value in every row'),
    ]


def test_weight_is_not_a_feature() -> None:
    found = selected(TABLE, target="city", sample_weight="income")
    assert (found.features, found.weight) == ([AGE, ONE], INCOME)


def test_features_keep_their_order() -> None:
    assert selected(TABLE, target="city", features=["income", "age"]).features == [INCOME, AGE]


def test_text_is_a_feature_where_it_is_named_or_nothing_else_is_there() -> None:
    assert selected(TABLE, target="city", features=["name"]).features == [NAME]
    only_text = Schema(format="csv", rows=9, columns=(CITY, NAME, EMPTY, replace(NAME, name="notes")))
    found = selected(only_text, target="city")
    assert (found.features, [encoder.type for encoder in found.encoders]) == ([NAME], ["words"])
    assert [warning.message for warning in found.warnings] == [
        'column "empty" has no values, and is left out: fill it in',
        'column "notes" is text, and is left out: name it in features to use it, or upload it as another type',
    ]


def test_encoders_are_those_named_or_by_the_type_of_the_column() -> None:
    found = selected(TABLE, target="income", features=["age", encoded("city"), encoded("one", OneHotOptions())])
    assert [encoder.type for encoder in found.encoders] == ["standard", "one_hot", "one_hot"]


def test_default_arrays_are_x_and_y() -> None:
    assert selected(ARRAYS)[:2] == ([IMAGES], LABELS)
    assert selected(ARRAYS, features=["x"], target="x")[:2] == ([IMAGES], IMAGES)


WRONG: list[tuple[Schema, dict[str, Any], str, str]] = [
    (TABLE, {}, "/data/target", 'name the column to predict; the dataset has "age", "income"'),
    (TABLE, {"target": "pay"}, "/data/target", 'there is no "pay"'),
    (TABLE, {"target": "City"}, "/data/target", 'there is no "City": did you mean "city"?'),
    (TABLE, {"target": "city", "features": ["agee"]}, "/data/features/0", 'did you mean "age"?'),
    (TABLE, {"target": "city", "features": ["age", "pay"]}, "/data/features/1", 'there is no "pay"'),
    (TABLE, {"target": "city", "features": ["city"]}, "/data/features/0", "is the target"),
    (TABLE, {"target": "city", "features": ["age", "age"]}, "/data/features/1", "is named twice"),
    (TABLE, {"target": "city", "features": ["age", "name"]}, "/data/features", 'words of column "name" cannot be put'),
    (
        TABLE,
        {"target": "city", "features": ["age", encoded("name", CharactersOptions())]},
        "/data/features",
        'characters of column "name" cannot be put beside 1 other columns: name it alone',
    ),
    (
        TABLE,
        {"target": "city", "features": [encoded("age", WordsOptions())]},
        "/data/features/0/encoder",
        'words does not encode column "age", which is of type number: use standard',
    ),
    (TABLE, {"target": "city", "features": [encoded("pay")]}, "/data/features/0/column", 'there is no "pay"'),
    (TABLE, {"target": "city", "features": [encoded("city")]}, "/data/features/0/column", "is the target"),
    (ARRAYS, {"features": [encoded("x")]}, "/data/features", "has an encoder, and arrays are learnt from as they are"),
    (TABLE, {"target": "city", "features": ["empty"]}, "/data/features/0", "has no values"),
    (Schema(format="csv", rows=9, columns=(CITY, EMPTY)), {"target": "city"}, "/data/features", "no column to learn"),
    (TABLE, {"target": "city", "sample_weight": "pay"}, "/data/sample_weight", 'there is no "pay"'),
    (TABLE, {"target": "income", "sample_weight": "income"}, "/data/sample_weight", "is the target"),
    (TABLE, {"target": "city", "sample_weight": "age"}, "/data/sample_weight", "one number for each row"),
    (TABLE, {"target": "city", "sample_weight": "one"}, "/data/sample_weight", "one number for each row"),
    (WITH_WEIGHTS, {"target": "city", "sample_weight": "below"}, "/data/sample_weight", "has numbers below 0"),
    (WITH_WEIGHTS, {"target": "city", "sample_weight": "zero"}, "/data/sample_weight", "has no number above 0"),
    (
        TABLE,
        {"target": "city", "sample_weight": "income", "features": ["income"]},
        "/data/features/0",
        "is the sample_weight",
    ),
    (ARRAYS, {"sample_weight": "x"}, "/data/sample_weight", "one number for each row"),
    (ARRAYS, {"features": ["x", "more"]}, "/data/features", "must name one array"),
    (ARRAYS, {"features": ["z"]}, "/data/features", 'there is no "z"'),
    (ARRAYS, {"features": ["y"]}, "/data/features", "has texts"),
    (ARRAYS, {"features": ["holes"]}, "/data/features", r"has 1 missing numbers \(NaN\)"),
    (ARRAYS, {"target": "more"}, "/data/target", 'has 8 rows and "x" has 9'),
]


@pytest.mark.parametrize(("schema", "fields", "pointer", "message"), WRONG)
def test_wrong_columns_are_refused(schema: Schema, fields: dict[str, Any], pointer: str, message: str) -> None:
    with pytest.raises(InvalidData, match=message) as caught:
        selected(schema, **fields)
    assert caught.value.pointer == pointer


def test_target_of_a_column() -> None:
    assert target_of(CITY) == Classes(names=("Bergen", "Oslo"))
    assert target_of(INCOME) == Numbers(shape=(1,), integers=True, min=0, max=5, distinct=3)
    found = target_of(IMAGES)
    assert isinstance(found, Numbers)
    assert found.shape == (2, 2)


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (replace(IMAGES, missing=1), "has 1 missing values"),
        (NAME, "is text"),
        (ONE, "only one class"),
        (EMPTY, "has 9 missing values"),
    ],
)
def test_target_of_an_unusable_column_is_refused(column: Column, message: str) -> None:
    with pytest.raises(InvalidData, match=message) as caught:
        target_of(column)
    assert caught.value.pointer == "/data/target"
