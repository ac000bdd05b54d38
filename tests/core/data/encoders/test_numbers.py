"""Encoders of single numbers, fitted: the same as scikit-learn's, and what happens at the edges."""

from typing import Any

import numpy as np
import pytest

from core.data.encoders import EncoderOptions
from core.data.encoders.log import LogOptions
from core.data.encoders.min_max import MinMaxOptions
from core.data.encoders.none import NoneOptions
from core.data.encoders.quantile import QuantileOptions
from core.data.encoders.robust import RobustOptions
from core.data.schema import Column
from harness.backends import skip_or_fail

AGE = Column(name="age", type="number", rows=200)
VALUES = np.random.default_rng(1).gamma(0.5, 30, 200) - 4
OTHERS = np.array([-50.0, -4.0, 0.0, 3.25, 90.0, 1e6])


def encoded(options: EncoderOptions, values: Any, train: Any = VALUES) -> Any:
    x = np.zeros((len(values), 1), np.float32)
    options.fit(AGE, train, scaled=True).transform(values, x)
    return x[:, 0]


@pytest.mark.parametrize(
    ("options", "name", "settings"),
    [
        (MinMaxOptions(low=-1, high=1), "MinMaxScaler", {"feature_range": (-1, 1)}),
        (RobustOptions(), "RobustScaler", {}),
        (QuantileOptions(output="uniform"), "QuantileTransformer", {"n_quantiles": 100}),
    ],
)
def test_encoder_agrees_with_scikit_learn(options: EncoderOptions, name: str, settings: dict[str, Any]) -> None:
    try:
        from sklearn import preprocessing  # noqa: PLC0415  a reference only
    except ImportError as error:
        skip_or_fail("sklearn", error)
    reference = getattr(preprocessing, name)(**settings).fit(VALUES[:, None])
    for values in (VALUES, OTHERS):
        np.testing.assert_allclose(encoded(options, values), reference.transform(values[:, None])[:, 0], rtol=1e-5)


def test_quantiles_are_normally_distributed() -> None:
    x = encoded(QuantileOptions(), VALUES)
    assert abs(x.mean()) < 0.02
    assert x.std() == pytest.approx(1, abs=0.05)
    assert np.array_equal(np.argsort(x, kind="stable"), np.argsort(VALUES, kind="stable"))
    assert encoded(QuantileOptions(), OTHERS)[-1] == x.max() < 4


def test_equal_quantiles_count_as_their_middle() -> None:
    x = encoded(QuantileOptions(output="uniform", quantiles=5), np.array([0.0, 7.0]), np.array([0, 0, 0, 0, 7.0]))
    assert x.tolist() == [0.375, 1]  # the quantiles at 0, 0.25, 0.5 and 0.75 are 0


def test_logarithms_are_standardized_and_odd() -> None:
    x = encoded(LogOptions(), VALUES)
    assert (x.mean(), x.std()) == (pytest.approx(0, abs=1e-6), pytest.approx(1))
    mean = float(np.mean(np.sign(VALUES) * np.log1p(np.abs(VALUES))))
    below, zero, above = encoded(LogOptions(), np.array([-9.0, 0.0, 9.0]))
    assert above - zero == pytest.approx(zero - below)
    assert zero == pytest.approx(-mean / np.std(np.sign(VALUES) * np.log1p(np.abs(VALUES))))


@pytest.mark.parametrize("options", [MinMaxOptions(), RobustOptions(), QuantileOptions(), LogOptions(), NoneOptions()])
@pytest.mark.parametrize("train", [np.full(5, np.nan), np.full(5, 3.0), np.array([1e38, -1e38]), np.zeros(1)])
def test_values_that_say_nothing_are_encoded_as_finite_numbers(options: EncoderOptions, train: Any) -> None:
    x = encoded(options, np.array([3.0, np.nan, -1e38, 1e38]), train)
    assert np.isfinite(x).all()
