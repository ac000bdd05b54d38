"""Metrics against scikit-learn."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from core.nn.metrics import Metric, classification, probabilistic, ranking, regression
from harness.backends import skip_or_fail
from tests.core.nn.metrics.batches import sums_of_batches

BATCH = 33
CLASSES = 7
ALL_CLASSES = range(CLASSES)


@pytest.fixture(name="sklearn_metrics")
def fixture_sklearn_metrics() -> Any:
    """Return scikit-learn's metrics."""
    try:
        from sklearn import metrics  # noqa: PLC0415  a reference only
    except ImportError as error:
        skip_or_fail("sklearn", error)
    return metrics


def softmax(logits: Any) -> Any:
    """Return the probabilities of logits `(rows, classes)`."""
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


def class_data() -> tuple[Any, Any]:
    """Return logits and classes of 200 rows; the last class is neither predicted nor true."""
    rng = np.random.default_rng(8)
    logits, true = rng.standard_normal((200, CLASSES)), rng.integers(0, CLASSES - 2, 200)
    logits[:, -1] = -9
    return logits, true


CLASS_METRICS: list[tuple[Metric, Callable[[Any, Any, Any], float]]] = [  # scikit-learn's by logits and true classes
    (
        classification.Precision(),
        lambda m, z, t: m.precision_score(t, z.argmax(axis=1), average="macro", zero_division=0),
    ),
    (classification.Recall(), lambda m, z, t: m.recall_score(t, z.argmax(axis=1), average="macro", zero_division=0)),
    (
        classification.FBeta(beta=0.5),
        lambda m, z, t: m.fbeta_score(t, z.argmax(axis=1), beta=0.5, average="macro", zero_division=0),
    ),
    (
        classification.TopKCategoricalAccuracy(k=3),
        lambda m, z, t: m.top_k_accuracy_score(t, z, k=3, labels=ALL_CLASSES),
    ),
    (
        classification.IntersectionOverUnion(),
        lambda m, z, t: m.jaccard_score(t, z.argmax(axis=1), average="macro"),
    ),
    (probabilistic.LogLoss(), lambda m, z, t: m.log_loss(t, softmax(z), labels=ALL_CLASSES)),
    (probabilistic.Perplexity(), lambda m, z, t: np.exp(m.log_loss(t, softmax(z), labels=ALL_CLASSES))),
]


@pytest.mark.parametrize(("metric", "reference"), CLASS_METRICS, ids=lambda v: getattr(v, "type", ""))
def test_class_metric_in_batches_matches_sklearn(sklearn_metrics: Any, metric: Metric, reference: Any) -> None:
    logits, true = class_data()
    value = metric.value(sums_of_batches(metric, logits, true, BATCH))
    assert value == pytest.approx(reference(sklearn_metrics, logits, true))


def test_confusion_matrix_in_batches_matches_sklearn(sklearn_metrics: Any) -> None:
    (logits, true), metric = class_data(), classification.ConfusionMatrix()
    expected = sklearn_metrics.confusion_matrix(true, logits.argmax(axis=1), labels=ALL_CLASSES)
    assert metric.table(sums_of_batches(metric, logits, true, BATCH)) == expected.tolist()


REGRESSION_METRICS: list[tuple[Metric, int, Callable[[Any, Any, Any], float]]] = [  # with the number of columns
    (regression.MeanAbsoluteErrorMetric(), 2, lambda m, y, t: m.mean_absolute_error(t, y)),
    (regression.MeanSquaredErrorMetric(), 2, lambda m, y, t: m.mean_squared_error(t, y)),
    (regression.RootMeanSquaredError(), 1, lambda m, y, t: m.root_mean_squared_error(t, y)),
    (regression.MeanAbsolutePercentageErrorMetric(), 2, lambda m, y, t: 100 * m.mean_absolute_percentage_error(t, y)),
    (regression.RSquared(), 1, lambda m, y, t: m.r2_score(t, y)),
]


@pytest.mark.parametrize(("metric", "columns", "reference"), REGRESSION_METRICS, ids=lambda v: getattr(v, "type", ""))
def test_regression_metric_in_batches_matches_sklearn(
    sklearn_metrics: Any, metric: Metric, columns: int, reference: Any
) -> None:
    rng = np.random.default_rng(8)
    outputs, targets = rng.standard_normal((200, columns)), 1 + rng.random((200, columns))
    value = metric.value(sums_of_batches(metric, outputs, targets, BATCH))
    assert value == pytest.approx(reference(sklearn_metrics, outputs, targets))


@pytest.mark.parametrize("columns", [1, 2, 5])
def test_ranking_metric_with_ties_matches_sklearn(sklearn_metrics: Any, columns: int) -> None:
    rng = np.random.default_rng(8)
    distinct = rng.standard_normal((30, columns)).astype(np.float32)
    logits: Any = distinct[rng.integers(0, 30, 300)]
    true: Any = rng.integers(0, max(columns, 2), 300)
    metrics = (ranking.RocAuc(), ranking.PrAuc())
    found = [metric.value(sums_of_batches(metric, logits, true, BATCH)) for metric in metrics]
    p = softmax(logits.astype(np.float64))
    scores = {1: logits[:, 0].astype(np.float64), 2: p[:, -1]}.get(columns, p)
    labels = true if columns < 3 else np.eye(columns)[true]
    expected = [
        sklearn_metrics.roc_auc_score(true, scores, multi_class="ovr", average="macro"),
        sklearn_metrics.average_precision_score(labels, scores, average="macro"),
    ]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
