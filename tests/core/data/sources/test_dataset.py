"""Which columns of a dataset a job may name, decided by the schema alone."""

from typing import Any

import pytest

from core.data.errors import InvalidData
from core.data.schema import Column, Schema
from core.data.sources.dataset import choose, target_of
from core.data.sources.source import DatasetReference
from core.data.targets import Classes, Numbers

AGE = Column(name="age", type="number", rows=9, missing=2, min=1.0, max=90.0)
INCOME = Column(name="income", type="number", rows=9, min=0.0, max=5.0, integers=True, distinct=3)
CITY = Column(name="city", type="category", rows=9, classes=(("Bergen", 4), ("Oslo", 5)))
NAME = Column(name="name", type="text", rows=9)
EMPTY = Column(name="empty", type="number", rows=9, missing=9)
BELOW = Column(name="below", type="number", rows=9, min=-1.0, max=1.0)
ZERO = Column(name="zero", type="number", rows=9, min=0.0, max=0.0)
ONE = Column(name="one", type="category", rows=9, classes=(("a", 9),))
TABLE = Schema(format="csv", rows=9, columns=(AGE, INCOME, CITY, NAME, EMPTY, ONE))
WEIGHED = Schema(format="csv", rows=9, columns=(*TABLE.columns, BELOW, ZERO))

IMAGES = Column(name="x", type="number", rows=9, min=0.0, max=1.0, shape=(2, 2))
LABELS = Column(name="y", type="category", rows=9, classes=(("a", 4), ("b", 5)))
MORE = Column(name="more", type="number", rows=8, min=0.0, max=1.0, shape=(3,))
HOLES = Column(name="holes", type="number", rows=9, missing=1, min=0.0, max=1.0)
ARRAYS = Schema(format="npz", rows=9, columns=(IMAGES, LABELS, MORE, HOLES))


def a_reference(**fields: Any) -> DatasetReference:
    return DatasetReference(id="ds_1", **fields)


def test_all_that_is_useful_is_learnt_from() -> None:
    chosen = choose(a_reference(target="city"), TABLE)
    assert (chosen.features, chosen.target) == ([AGE, INCOME, ONE], CITY)
    assert chosen.warnings == [
        'column "name" is text, and is left out',
        'column "empty" has no values, and is left out',
    ]


def test_nothing_is_learnt_from_weights() -> None:
    chosen = choose(a_reference(target="city", sample_weight="income"), TABLE)
    assert (chosen.features, chosen.weight) == ([AGE, ONE], INCOME)


def test_columns_may_be_named_in_any_order() -> None:
    assert choose(a_reference(target="city", features=["income", "age"]), TABLE).features == [INCOME, AGE]


def test_an_archive_has_its_usual_names() -> None:
    assert choose(a_reference(), ARRAYS)[:2] == ([IMAGES], LABELS)
    assert choose(a_reference(features=["x"], target="x", scaling="none"), ARRAYS)[:2] == ([IMAGES], IMAGES)


WRONG: list[tuple[Schema, dict[str, Any], str, str]] = [
    (TABLE, {}, "/data/target", 'name the column to predict; the dataset has "age", "income"'),
    (TABLE, {"target": "pay"}, "/data/target", 'there is no "pay"'),
    (TABLE, {"target": "city", "features": ["age", "pay"]}, "/data/features/1", 'there is no "pay"'),
    (TABLE, {"target": "city", "features": ["city"]}, "/data/features/0", "is the target"),
    (TABLE, {"target": "city", "features": ["age", "age"]}, "/data/features/1", "stands here twice"),
    (TABLE, {"target": "city", "features": ["name"]}, "/data/features/0", "is text"),
    (TABLE, {"target": "city", "features": ["empty"]}, "/data/features/0", "has no values"),
    (Schema(format="csv", rows=9, columns=(CITY, NAME)), {"target": "city"}, "/data/features", "no column to learn"),
    (TABLE, {"target": "city", "sample_weight": "pay"}, "/data/sample_weight", 'there is no "pay"'),
    (TABLE, {"target": "income", "sample_weight": "income"}, "/data/sample_weight", "beside the target"),
    (TABLE, {"target": "city", "sample_weight": "age"}, "/data/sample_weight", "one number for each row"),
    (TABLE, {"target": "city", "sample_weight": "one"}, "/data/sample_weight", "one number for each row"),
    (WEIGHED, {"target": "city", "sample_weight": "below"}, "/data/sample_weight", "holds numbers below 0"),
    (WEIGHED, {"target": "city", "sample_weight": "zero"}, "/data/sample_weight", "holds no number above 0"),
    (TABLE, {"target": "city", "sample_weight": "income", "features": ["income"]}, "/data/features/0", "is the weight"),
    (ARRAYS, {"sample_weight": "x"}, "/data/sample_weight", "one number for each row"),
    (ARRAYS, {"scaling": "standard"}, "/data/scaling", "arrays go to the net as they are"),
    (ARRAYS, {"features": ["x", "more"]}, "/data/features", "one array is learnt from"),
    (ARRAYS, {"features": ["z"]}, "/data/features", 'there is no "z"'),
    (ARRAYS, {"features": ["y"]}, "/data/features", "holds texts"),
    (ARRAYS, {"features": ["holes"]}, "/data/features", r"lacks 1 numbers \(NaN\)"),
    (ARRAYS, {"target": "more"}, "/data/target", 'has 8 rows where "x" has 9'),
]


@pytest.mark.parametrize(("schema", "fields", "pointer", "message"), WRONG)
def test_wrong_columns_are_refused(schema: Schema, fields: dict[str, Any], pointer: str, message: str) -> None:
    with pytest.raises(InvalidData, match=message) as caught:
        choose(a_reference(**fields), schema)
    assert caught.value.pointer == pointer


def test_a_column_as_a_target() -> None:
    assert target_of(CITY) == Classes(names=("Bergen", "Oslo"))
    assert target_of(INCOME) == Numbers(shape=(1,), integers=True, least=0, most=5, distinct=3)
    found = target_of(IMAGES)
    assert isinstance(found, Numbers)
    assert found.shape == (2, 2)


@pytest.mark.parametrize(
    ("column", "message"),
    [(AGE, "lacks 2 values"), (NAME, "is text"), (ONE, "one class alone"), (EMPTY, "lacks 9 values")],
)
def test_a_column_that_is_no_target(column: Column, message: str) -> None:
    with pytest.raises(InvalidData, match=message) as caught:
        target_of(column)
    assert caught.value.pointer == "/data/target"
