"""Tests of core/data/sources/builtin.py: a row for each dataset."""

from typing import Any, get_args, get_type_hints

import numpy as np
import pytest

from core.data.errors import InvalidData
from core.data.sources.builtin import BUILTIN_DATASETS, Builtin
from core.data.targets.classes import Classes

CASES: dict[Any, tuple[int, int, tuple[str, ...]]] = {  # rows, coordinates, classes
    "linear": (5, 1, ()),
    "xor": (4, 2, ("0", "1")),
    "spirals": (300, 2, ("blue", "orange")),
    "circles": (300, 2, ("inner", "outer")),
    "moons": (300, 2, ("upper", "lower")),
    "sine": (300, 1, ()),
    "blobs": (300, 2, ("blue", "orange", "green")),
}


def test_every_dataset_has_a_row() -> None:
    assert set(CASES) == set(BUILTIN_DATASETS) == set(get_args(get_type_hints(Builtin)["name"]))


@pytest.mark.parametrize("name", CASES)
def test_dataset_has_the_shape_of_its_row(name: Any) -> None:
    rows, coordinates, classes = CASES[name]
    x, y, target, _ = Builtin(name=name).arrays()
    assert x.shape == (rows, coordinates)
    assert np.isfinite(x).all()
    if classes:
        assert target == Classes(names=classes)
        assert np.bincount(y).min() == rows // len(classes)
    else:
        assert y.shape == (rows, 1)


@pytest.mark.parametrize("name", CASES)
def test_rows_depend_on_the_seed(name: Any) -> None:
    first, again, other = (Builtin(name=name, rows=20, noise=0.5, seed=seed).arrays() for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.x, again.x)
    np.testing.assert_array_equal(first.y, again.y)
    assert not (np.array_equal(first.x, other.x) and np.array_equal(first.y, other.y))


@pytest.mark.parametrize("name", CASES)
def test_any_number_of_rows_is_generated(name: Any) -> None:
    for rows in (3, 7, 1000):
        assert len(Builtin(name=name, rows=rows).arrays().x) == rows


def test_linear_is_slope_times_x() -> None:
    x, y, *_ = Builtin(name="linear").arrays()
    assert (x.tolist(), y.tolist()) == ([[1], [2], [3], [4], [5]], [[2], [4], [6], [8], [10]])
    assert Builtin(name="linear", slope=-3, rows=2).arrays().y.tolist() == [[-3], [-6]]


def test_xor_is_one_where_exactly_one_bit_is() -> None:
    x, y, *_ = Builtin(name="xor").arrays()
    assert [(*map(int, point), int(out)) for point, out in zip(x, y, strict=True)] == [
        (0, 0, 0),
        (0, 1, 1),
        (1, 0, 1),
        (1, 1, 0),
    ]


def test_points_without_noise_are_exact() -> None:
    x, y, *_ = Builtin(name="circles", noise=0).arrays()
    np.testing.assert_allclose(np.hypot(*x.T), (1 + y) / 2)
    x, y, *_ = Builtin(name="sine").arrays()
    np.testing.assert_array_equal(y, np.sin(x))


@pytest.mark.parametrize(
    ("data", "pointer"),
    [
        (Builtin(name="xor", slope=2), "/data/slope"),
        (Builtin(name="blobs", rows=2), "/data/rows"),
        (Builtin(name="xor", rows=1), "/data/rows"),
    ],
)
def test_invalid_option_is_refused(data: Builtin, pointer: str) -> None:
    with pytest.raises(InvalidData) as caught:
        data.arrays()
    assert caught.value.pointer == pointer
