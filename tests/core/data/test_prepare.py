"""Tests of core/data/prepare.py: signatures match the prepared arrays, and predictions encode as training did."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.data.errors import InvalidData, InvalidFile
from core.data.features import features_from_json
from core.data.features.arrays import ArrayFeatures
from core.data.prepare import Prepared, prepare, signature
from core.data.readers import READERS, rows
from core.data.schema import Limits
from core.data.seen import Seen
from core.data.sources.builtin import Builtin
from core.data.sources.dataset import DatasetReference
from core.data.sources.inline import Inline
from core.data.sources.source import StoredDataset
from core.data.splits.column import ColumnSplit
from core.data.splits.fraction import FractionSplit, Validation
from core.data.splits.group import GroupSplit
from core.data.splits.time import TimeSplit
from core.data.targets.classes import Classes
from core.data.targets.numbers import Numbers
from tests.core.data.files.media import grey, tarred, zipped
from tests.core.data.readers.files import csv_schema, npy_bytes, npz_bytes, parquet_bytes, sqlite_bytes, xlsx_bytes

LINE = Inline(x=[[1], [2], [3], [4], [5]], y=[[2], [4], [6], [8], [10]])
HALF = Validation(fraction=0.5)
TABLE = "age,city,income,pay\n20,Oslo,1,a\n30,Bergen,2,b\n,Oslo,1,a\n41,NA,2,b\n25,Oslo,3,a\n61,Paris,2,b\n"


def prepared(data: Any, stored: StoredDataset | None, seed: int = 3) -> Prepared:
    """Return the prepared data, after comparing it with its signature."""
    expected = signature(data, stored.schema if stored else None)
    found = prepare(data, stored, seed)
    validation_rows = 0 if found.x_validation is None else len(found.x_validation)
    test_rows = 0 if found.x_test is None else len(found.x_test)
    assert (expected.train_rows, expected.validation_rows, expected.test_rows) == (
        len(found.x),
        validation_rows,
        test_rows,
    )
    assert expected.rows == expected.train_rows + expected.validation_rows + expected.test_rows
    assert found.x.shape[1:] == expected.input_shape == found.features.input_shape
    assert found.target == expected.target
    for x, y in [(found.x, found.y), (found.x_validation, found.y_validation), (found.x_test, found.y_test)]:
        if x is None or y is None:
            continue
        assert x.dtype == np.float32
        assert x.flags.c_contiguous
        assert y.flags.c_contiguous
        assert len(x) == len(y)
        classes = isinstance(expected.target, Classes)
        assert (y.dtype.name, y.shape[1:]) == (("int64", ()) if classes else ("float32", found_shape(found)))
    return found


def found_shape(found: Prepared) -> tuple[int, ...]:
    return found.target.shape if isinstance(found.target, Numbers) else ()


def test_inline_rows_are_prepared_unchanged() -> None:
    found = prepared(LINE, None)
    assert (found.x.tolist(), found.y.tolist()) == (LINE.x, LINE.y)
    assert found.x_validation is None
    assert found.features == ArrayFeatures(shape=(1,), seen=(Seen(min=1, max=5, mean=3, std=2**0.5),))


def test_weights_are_split_with_their_rows(tmp_path: Path) -> None:
    inline = Inline(x=[[1], [2], [3], [4]], y=[1, 2, 3, 4], sample_weight=[10, 20, 30, 40], validation=HALF)
    table = "a,b,w\n" + "".join(f"{n},{n},{10 * n}\n" for n in (1, 2, 3, 4))
    stored = StoredDataset(path=tmp_path / "table.csv", schema=csv_schema(tmp_path / "table.csv", table))
    reference = DatasetReference(id="ds_1", target="b", sample_weight="w", scaling="none", validation=HALF)
    for found in (prepared(inline, None), prepared(reference, stored)):
        assert found.x.shape[1:] == (1,)
        assert found.sample_weight is not None
        assert found.sample_weight_validation is not None
        assert found.sample_weight.tolist() == (10 * found.x[:, 0]).tolist()
        assert found.x_validation is not None
        assert found.sample_weight_validation.tolist() == (10 * found.x_validation[:, 0]).tolist()


@pytest.mark.parametrize("stratify", [True, False])
@pytest.mark.parametrize("name", ["xor", "spirals", "circles", "moons", "blobs"])
def test_builtin_data_matches_its_signature(name: Any, stratify: bool) -> None:
    found = prepared(Builtin(name=name, rows=40, validation=Validation(fraction=0.3, stratify=stratify)), None)
    assert found.x_validation is not None
    assert (len(found.x), len(found.x_validation)) == (28, 12)


def test_stratify_fractional_targets_is_refused() -> None:
    with pytest.raises(InvalidData, match="needs a target of classes"):
        signature(Builtin(name="sine", validation=Validation(fraction=0.3, stratify=True)), None)


def test_stratified_split_has_each_class_in_validation() -> None:
    data = Inline(x=list(range(20)), y=["a"] * 10 + ["b"] * 10, validation=Validation(fraction=0.2, stratify=True))
    found = prepared(data, None)
    assert found.y_validation is not None
    assert np.bincount(found.y_validation).tolist() == [2, 2]


def test_with_classes_makes_integers_class_ids() -> None:
    data = Inline(x=list(range(4)), y=[0, 2, 1, 2], validation=Validation(fraction=0.25))
    found = prepared(data, None).with_classes(4)
    assert found.target == Classes(names=("0", "1", "2", "3"))
    assert found.y_validation is not None
    assert (found.y.dtype.name, found.y.shape, found.y_validation.shape) == ("int64", (3,), (1,))


def table(path: Path, content: str = TABLE) -> StoredDataset:
    return StoredDataset(path=path / "table", schema=csv_schema(path / "table", content))


def test_table_is_encoded(tmp_path: Path) -> None:
    found = prepared(DatasetReference(id="a", target="pay"), table(tmp_path))
    assert found.y.tolist() == [0, 1, 0, 1, 0, 1]
    assert found.x.shape == (6, 7)  # age and its mark, three cities and their mark, income
    np.testing.assert_allclose(found.x[:, 0].mean(), 0, atol=1e-6)
    assert found.x[:, 1].tolist() == [0, 0, 1, 0, 0, 0]
    assert found.x[:, 2:6].tolist() == [
        [0, 1, 0, 0],
        [1, 0, 0, 0],
        [0, 1, 0, 0],
        [0, 0, 0, 1],
        [0, 1, 0, 0],
        [0, 0, 1, 0],
    ]


def test_unscaled_numbers_are_unchanged(tmp_path: Path) -> None:
    data = DatasetReference(id="a", target="pay", features=["income"], scaling="none")
    assert prepared(data, table(tmp_path)).x.ravel().tolist() == [1, 2, 1, 2, 3, 2]


def test_features_are_fitted_on_training_rows_only(tmp_path: Path) -> None:
    data = DatasetReference(id="a", target="pay", features=["age"], validation=Validation(fraction=0.5))
    stored = table(tmp_path, TABLE.replace("61", "1e6"))
    for seed in range(5):
        found = prepared(data, stored, seed)
        np.testing.assert_allclose(found.x[:, 0].mean(), 0, atol=1e-5)
        assert found.x_validation is not None
        assert abs(found.x[:, 0]).max() < 3
        if abs(found.x_validation[:, 0]).max() > 1000:
            return
    pytest.fail("no seed put the outlier into validation")


def test_validation_rows_depend_on_the_seed(tmp_path: Path) -> None:
    data = DatasetReference(id="a", target="pay", validation=Validation(fraction=0.5))
    first, again, other = (prepare(data, table(tmp_path), seed).x.tolist() for seed in (1, 1, 2))
    assert first == again != other


def test_stratify_integers_of_few_values(tmp_path: Path) -> None:
    data = DatasetReference(id="a", target="income", validation=Validation(fraction=0.34, stratify=True))
    found = prepared(data, table(tmp_path))
    assert found.y_validation is not None
    assert sorted(found.y_validation.ravel().tolist()) == [1, 2]  # of 1, 1, 2, 2, 2, 3
    assert sorted(found.y.ravel().tolist()) == [1, 2, 2, 3]


FILES = {
    "csv": b"x,y\n" + b"".join(f"{n / 3},{n % 3}\n".encode() for n in range(30)),
    "json": json.dumps([{"x": n / 3, "y": n % 3} for n in range(30)]).encode(),
    "parquet": parquet_bytes("SELECT range / 3 AS x, range % 3 AS y FROM range(30)"),
    "excel": xlsx_bytes(("one", [["x", "y"], *([n / 3, n % 3] for n in range(30))])),
    "sqlite": sqlite_bytes("CREATE TABLE t (x, y)", *(f"INSERT INTO t VALUES ({n / 3}, {n % 3})" for n in range(30))),
    "npy": npy_bytes(np.stack([np.arange(30) / 3, np.arange(30) % 3], axis=1)),
    "npz": npz_bytes(x=np.arange(30) / 3, y=np.arange(30) % 3),
    "zip": zipped({f"{n % 3}/{n}.png": grey(n) for n in range(30)}),
    "tar": tarred({f"{n % 3}/{n}.png": grey(n) for n in range(30)}),
}


@pytest.mark.parametrize("word", READERS)
def test_every_format_is_prepared(tmp_path: Path, word: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(FILES[word])
    schema = READERS[word]().infer_schema(path, {}, Limits())
    target = schema.columns[1].name
    data = DatasetReference(id="a", target=target, validation=Validation(fraction=0.3, stratify=True))
    found = prepared(data, StoredDataset(path=path, schema=schema))
    assert np.bincount(found.y.astype(int).ravel()).tolist() == [7, 7, 7]


def test_images_and_classes_are_prepared(tmp_path: Path) -> None:
    path = tmp_path / "file"
    images = np.arange(32, dtype="u1").reshape(4, 2, 4)
    path.write_bytes(npz_bytes(x=images, y=np.array(["b", "a", "b", "a"])))
    found = prepared(
        DatasetReference(id="a"), StoredDataset(path=path, schema=READERS["npz"]().infer_schema(path, {}, Limits()))
    )
    np.testing.assert_array_equal(found.x, images)
    assert found.y.tolist() == [1, 0, 1, 0]


def test_missing_dataset_is_refused() -> None:
    for call in (lambda data: signature(data, None), lambda data: prepare(data, None, 1)):
        with pytest.raises(InvalidData, match="there is no such dataset") as caught:
            call(DatasetReference(id="a", target="b"))
        assert caught.value.pointer == "/data/id"


def test_bytes_of_the_signature_are_those_of_the_arrays() -> None:
    found = prepared(LINE, None)
    assert signature(LINE, None).bytes == found.x.nbytes + found.y.nbytes
    data = Builtin(name="moons")
    assert signature(data, None).bytes == sum(
        array.nbytes for array in (prepared(data, None).x, prepared(data, None).y)
    )


CELLS = st.one_of(
    st.integers(-1000, 1000).map(str),
    st.floats(-1e6, 1e6).map(repr),
    st.sampled_from(["", "NA", "a", "b", " c", "?", "1e300", "x,y"]),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
@given(
    st.data(),
    st.integers(1, 4),
    st.integers(2, 12),
    st.floats(0.1, 0.9),
    st.booleans(),
    st.sampled_from([None, "none"]),
)
def test_random_tables_match_signature_and_prediction(
    tmp_path: Path, data: st.DataObject, columns: int, length: int, fraction: float, stratify: bool, scaling: Any
) -> None:
    kinds = [
        data.draw(st.sampled_from([CELLS, st.integers(-5, 5).map(str), st.sampled_from("ab ")])) for _ in range(columns)
    ]
    cells = [[data.draw(kind) for kind in kinds] + [str(row % 3)] for row in range(length)]
    lines = [[f"c{i}" for i in range(columns)] + ["y"], *cells]
    content = "".join(",".join(f'"{cell}"' for cell in line) + "\n" for line in lines)
    reference = DatasetReference(
        id="a", target="y", scaling=scaling, validation=Validation(fraction=fraction, stratify=stratify)
    )
    try:
        stored = table(tmp_path, content)
        signature(reference, stored.schema)
    except (InvalidData, InvalidFile):  # a number beyond float32, nothing to learn from, an empty part
        return
    found = prepared(reference, stored)
    records = rows(stored.path, stored.schema, 0, length)
    encoded = features_from_json(found.features.to_json()).encode(records).x
    together = np.concatenate([found.x, found.x_validation]) if found.x_validation is not None else found.x
    assert sorted(map(tuple, encoded.tolist())) == sorted(map(tuple, together.tolist()))


SPLITS: dict[str, Any] = {
    "fraction": FractionSplit(validation=0.2, test=0.2),
    "group": GroupSplit(column="city", validation=0.25, test=0.25),
    "time": TimeSplit(column="day", validation=0.25, test=0.25),
    "column": ColumnSplit(column="part", validation=["v"], test=["t"]),
}
SPLIT_TABLE = "age,city,day,part,pay\n" + "".join(
    f"{20 + row},c{row % 4},{100 - row},{'ttvvnnnn'[row % 8]},{row}\n" for row in range(40)
)


@pytest.mark.parametrize("split", SPLITS.values(), ids=SPLITS.keys())
def test_each_split_of_a_table_holds_rows_out(split: Any, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    stored = StoredDataset(path=path, schema=csv_schema(path, SPLIT_TABLE))
    found = prepared(DatasetReference(id="ds_1", target="pay", scaling="none", split=split), stored)
    assert found.y_validation is not None
    assert found.y_test is not None
    rows = np.concatenate([found.y, found.y_validation, found.y_test]).ravel().tolist()
    assert sorted(rows) == list(range(40))
    learnt = list(found.features.schema()["properties"])
    assert learnt == [name for name in ("age", "city", "day", "part") if split.keeps_feature or name != split.column]


def test_column_of_a_split_that_features_name_is_learnt_from(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    stored = StoredDataset(path=path, schema=csv_schema(path, SPLIT_TABLE))
    reference = DatasetReference(id="ds_1", target="pay", features=["city"], split=SPLITS["group"])
    assert list(prepared(reference, stored).features.schema()["properties"]) == ["city"]


def test_split_by_a_column_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    schema = csv_schema(tmp_path / "table.csv", SPLIT_TABLE)
    reference = DatasetReference(id="ds_1", target="pay", split=TimeSplit(column="date", test=0.1))
    with pytest.raises(InvalidData, match='there is no "date"') as caught:
        signature(reference, schema)
    assert caught.value.pointer == "/data/split/column"


def test_rows_without_columns_are_split_too() -> None:
    found = prepared(Inline(x=LINE.x, y=LINE.y, split=FractionSplit(validation=0.2, test=0.4)), None)
    assert [len(part) for part in (found.x, found.x_validation, found.x_test) if part is not None] == [2, 1, 2]
