"""What the small members of the core compute, each against its definition."""

import math
import tracemalloc
from typing import Any

import numpy as np
import pytest

from core.nn.activations import Gelu, Softmax
from core.nn.initializers import Initializer, Orthogonal, TruncatedNormal
from core.nn.losses import Loss
from core.nn.losses.base import Mismatch, Targets
from core.nn.losses.binary import BinaryCrossEntropy, Dice, Hinge
from core.nn.losses.categorical import CrossEntropy
from core.nn.losses.regression import (
    CosineSimilarity,
    GaussianNegativeLogLikelihood,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    Poisson,
)
from core.nn.metrics import Metric
from core.nn.metrics.base import zero_sums
from core.nn.metrics.ranking import PrAuc, RocAuc
from core.nn.regularizers import OrthogonalRegularizer, Regularizer
from core.nn.step.context import PassContext
from tests.core.nn.cases import INITIALIZERS, METRICS, REGULARIZERS, SCHEDULES, ScheduleCase


def a_run(dtype: Any = np.float64) -> PassContext:
    """A pass with memory of its own."""
    return PassContext(dtype, training=True)


@pytest.mark.parametrize("case", SCHEDULES, ids=lambda case: case.schedule.type)
def test_a_schedule_gives_its_rates(case: ScheduleCase) -> None:
    for step, rate in case.rates.items():
        assert case.schedule.at(step, 100) == pytest.approx(rate, abs=1e-12)


@pytest.mark.parametrize(("initializer", "mean", "deviation"), INITIALIZERS, ids=lambda v: getattr(v, "type", ""))
def test_an_initializer_has_its_moments(initializer: Initializer, mean: float, deviation: float) -> None:
    drawn = initializer.draw(np.random.default_rng(0), (400, 300))
    assert drawn.mean() == pytest.approx(mean, abs=0.005)
    assert drawn.std() == pytest.approx(deviation, rel=0.02)


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (2, 2, 3), (4,)])
def test_orthogonal_weights_are_orthogonal(shape: tuple[int, ...]) -> None:
    drawn = Orthogonal(gain=3).draw(np.random.default_rng(0), shape)
    matrix = drawn.reshape(-1, shape[-1])
    product = matrix.T @ matrix if len(matrix) >= shape[-1] else matrix @ matrix.T
    np.testing.assert_allclose(product, 9 * np.eye(len(product)), atol=1e-12)
    assert OrthogonalRegularizer().penalty(drawn / 3) == pytest.approx(0)


def test_a_truncated_normal_has_no_tails() -> None:
    assert np.abs(TruncatedNormal(stddev=0.5).draw(np.random.default_rng(0), (1000,))).max() <= 1


@pytest.mark.parametrize(("regularizer", "penalty"), REGULARIZERS, ids=lambda v: getattr(v, "type", ""))
def test_a_regularizer_has_its_penalty(regularizer: Regularizer, penalty: float) -> None:
    assert regularizer.penalty(np.array([1.0, -2.0, 3.0])) == pytest.approx(penalty)


@pytest.mark.parametrize(("metric", "outputs", "targets", "value"), METRICS, ids=lambda v: getattr(v, "type", ""))
def test_a_metric_has_its_value_however_rows_are_batched(
    metric: Metric, outputs: list[Any], targets: list[Any], value: float
) -> None:
    for batch in (1, 2, 10):
        sums = zero_sums(metric.num_sums)
        for start in range(0, len(outputs), batch):
            part = slice(start, start + batch)
            metric.add(sums, np.array(outputs[part], float), np.array(targets[part]))
        assert metric.value(sums) == pytest.approx(value)


@pytest.mark.parametrize("metric", [RocAuc(), PrAuc()], ids=lambda metric: metric.type)
@pytest.mark.parametrize("outputs", [[[1.0], [2.0]], [[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]], [[1.0], [math.nan]]])
def test_a_class_alone_and_scores_that_are_no_numbers_have_no_ranks(metric: Metric, outputs: list[Any]) -> None:
    sums = zero_sums(metric.num_sums)
    true = [0, 1] if np.isnan(outputs).any() else [0, 0]
    metric.add(sums, np.array(outputs), np.array(true))
    assert math.isnan(metric.value(sums))


@pytest.mark.parametrize("metric", [RocAuc(), PrAuc()], ids=lambda metric: metric.type)
@pytest.mark.parametrize("columns", [1, 2, 3, 100])
def test_ranking_takes_the_memory_that_is_said(metric: Metric, columns: int) -> None:
    rng = np.random.default_rng(0)
    rows, batch = 20_000, 1000
    outputs: Any = rng.standard_normal((batch, columns), np.float32)
    true: Any = rng.integers(0, max(columns, 2), batch)
    tracemalloc.start()
    sums = zero_sums(metric.num_sums)
    for _ in range(0, rows, batch):
        metric.add(sums, outputs, true)
    metric.value(sums)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert metric.stored_bytes(rows, (columns,)) / 2 < most < metric.stored_bytes(rows, (columns,))


def test_gelu_is_exact() -> None:
    z = np.linspace(-30, 30, 1001)
    out = np.empty_like(z)
    Gelu().forward(z, out, a_run())
    expected = np.array([float(v) * 0.5 * math.erfc(-v / math.sqrt(2)) for v in z])
    np.testing.assert_allclose(out, expected, rtol=1e-12, atol=1e-15)


def test_gelu_off_its_table_is_as_exact_as_float32_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.nn.activations.BLOCK_SIZE", 1000)  # so that the last block is a short one
    z = np.linspace(-12, 12, 24_010, dtype=np.float32).reshape(-1, 10)[::-1]
    both = np.zeros((len(z), 20), np.float32)
    out = both[:, 5:15]  # in the midst of other numbers, as a gate of a recurrent layer is
    slope = Gelu().forward(z, out, PassContext(training=True))(np.ones_like(z))
    exact = z.astype(np.float64)
    cdf = np.vectorize(math.erfc)(-exact / math.sqrt(2)) / 2
    density = np.exp(-exact * exact / 2) / math.sqrt(2 * math.pi)
    np.testing.assert_allclose(out, exact * cdf, rtol=1.2e-7, atol=2e-7)
    np.testing.assert_allclose(slope, cdf + exact * density, rtol=1.2e-7, atol=2e-7)
    assert not both[:, :5].any()
    assert not both[:, 15:].any()


def test_gelu_hides_nothing_that_is_not_finite() -> None:
    z = np.array([[np.nan, np.inf, 3e38, -3e38, 1e20]], np.float32)
    out = np.empty_like(z)
    with np.errstate(invalid="ignore"):
        Gelu().forward(z, out, PassContext(training=True))
    np.testing.assert_array_equal(out, np.array([[np.nan, np.inf, 3e38, 0, 1e20]], np.float32))


def test_softmax_bears_huge_logits() -> None:
    z = np.array([[1e30, 0.0, -1e30], [5.0, 5.0, 5.0]])
    out = np.empty_like(z)
    Softmax().forward(z, out, a_run())
    np.testing.assert_allclose(out, [[1.0, 0.0, 0.0], [1 / 3, 1 / 3, 1 / 3]])


def test_cross_entropy_is_its_formula() -> None:
    logits, classes = np.array([[2.0, 1.0, 0.0], [0.0, 3.0, 1.0]]), np.array([0, 2])
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    value, _ = CrossEntropy().forward(logits, classes, a_run())
    assert value == pytest.approx(-np.log(shares[[0, 1], classes]).mean())
    one_hot, _ = CrossEntropy().forward(logits, np.eye(3)[classes], a_run())
    assert one_hot == pytest.approx(value)


FITS: list[tuple[Loss, Targets, tuple[int, ...], bool | None]] = [  # None: fits; else whether the output is to change
    (MeanSquaredError(), Targets(), (1,), None),
    (MeanSquaredError(), Targets(), (2,), True),
    (MeanSquaredError(), Targets(classes=3), (3,), False),
    (BinaryCrossEntropy(), Targets(classes=2), (1,), None),
    (BinaryCrossEntropy(), Targets(classes=2), (2,), True),
    (BinaryCrossEntropy(), Targets(classes=3), (1,), False),
    (BinaryCrossEntropy(), Targets(min=0, max=1), (1,), None),
    (BinaryCrossEntropy(), Targets(shape=(4,), min=0, max=1), (4,), None),
    (BinaryCrossEntropy(), Targets(min=0, max=2), (1,), False),
    (BinaryCrossEntropy(), Targets(min=0, max=1), (3,), True),
    (CrossEntropy(), Targets(classes=3), (3,), None),
    (CrossEntropy(), Targets(classes=3), (4,), True),
    (CrossEntropy(), Targets(integers=True, min=0, max=2), (3,), None),
    (CrossEntropy(), Targets(integers=True, min=0, max=3), (3,), True),
    (CrossEntropy(), Targets(integers=True, min=-1, max=2), (3,), True),
    (CrossEntropy(), Targets(min=0, max=2), (3,), False),
    (CrossEntropy(), Targets(shape=(3,), min=0, max=1), (3,), None),
    (CrossEntropy(), Targets(shape=(3,)), (3,), False),
    (CrossEntropy(), Targets(integers=True, min=0, max=0), (1,), True),
    (CrossEntropy(), Targets(integers=True, min=0, max=1), (2, 2), True),
    (CrossEntropy(class_weight=(1, 2, 3)), Targets(classes=3), (3,), None),
    (CrossEntropy(class_weight=(1, 2)), Targets(classes=3), (3,), False),
    (MeanSquaredLogarithmicError(), Targets(min=0), (1,), None),
    (MeanSquaredLogarithmicError(), Targets(min=-1), (1,), False),
    (Poisson(), Targets(min=0), (1,), None),
    (Poisson(), Targets(min=-1), (1,), False),
    (Poisson(), Targets(classes=3), (3,), False),
    (GaussianNegativeLogLikelihood(), Targets(), (2,), None),
    (GaussianNegativeLogLikelihood(), Targets(shape=(4, 3)), (4, 6), None),
    (GaussianNegativeLogLikelihood(), Targets(), (1,), True),
    (CosineSimilarity(), Targets(shape=(2,)), (2,), None),
    (CosineSimilarity(), Targets(), (1,), True),
    (CrossEntropy(), Targets(shape=(3,), integers=True, min=0, max=4), (3, 5), None),
    (CrossEntropy(), Targets(shape=(3, 5), min=0, max=1), (3, 5), None),
    (CrossEntropy(), Targets(shape=(4,), integers=True, min=0, max=4), (3, 5), True),
    (CrossEntropy(), Targets(integers=True, min=0, max=4), (3, 5), True),
    (CrossEntropy(), Targets(shape=(3,), integers=True, min=0, max=5), (3, 5), True),
    (CrossEntropy(), Targets(shape=(3,), min=0, max=4), (3, 5), False),
    (Hinge(), Targets(classes=2), (1,), None),
    (Hinge(), Targets(classes=3), (1,), False),
    (Dice(), Targets(shape=(2, 2), min=0, max=1), (2, 2), None),
    (Dice(), Targets(min=0, max=1), (1,), False),
]


@pytest.mark.parametrize(("loss", "targets", "output", "change_output"), FITS)
def test_a_loss_knows_what_it_can_compare(
    loss: Loss, targets: Targets, output: tuple[int, ...], change_output: bool | None
) -> None:
    mismatch = loss.mismatch(targets, output)
    if change_output is None:
        assert mismatch is None
    else:
        assert isinstance(mismatch, Mismatch)
        assert mismatch.output == change_output
