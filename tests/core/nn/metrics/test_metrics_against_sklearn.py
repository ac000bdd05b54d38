"""Metrics against scikit-learn."""

from typing import Any

import numpy as np
import pytest

from core.nn.metrics import classification, probabilistic, ranking
from core.nn.metrics import regression as number_metrics
from core.nn.metrics.base import zero_sums
from harness.backends import missing


def test_metric_in_batches_matches_sklearn() -> None:
    try:
        from sklearn import metrics as theirs  # noqa: PLC0415  a reference only
    except ImportError as error:
        missing("sklearn", error)
    rng = np.random.default_rng(8)
    classes = 7
    logits: Any = rng.standard_normal((200, classes))
    true: Any = rng.integers(0, classes - 2, 200)
    logits[:, -1] = -9  # a class that is neither said nor true
    said = logits.argmax(axis=1)
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    found, wanted = rng.standard_normal((200, 2)), 1 + rng.random((200, 2))
    pairs: list[tuple[Any, Any, Any, float]] = [
        (
            classification.Precision(),
            logits,
            true,
            theirs.precision_score(true, said, average="macro", zero_division=0),
        ),
        (classification.Recall(), logits, true, theirs.recall_score(true, said, average="macro", zero_division=0)),
        (
            classification.FBeta(beta=0.5),
            logits,
            true,
            theirs.fbeta_score(true, said, beta=0.5, average="macro", zero_division=0),
        ),
        (
            classification.TopKCategoricalAccuracy(k=3),
            logits,
            true,
            theirs.top_k_accuracy_score(true, logits, k=3, labels=range(classes)),
        ),
        (classification.IntersectionOverUnion(), logits, true, theirs.jaccard_score(true, said, average="macro")),
        (probabilistic.LogLoss(), logits, true, theirs.log_loss(true, shares, labels=range(classes))),
        (probabilistic.Perplexity(), logits, true, np.exp(theirs.log_loss(true, shares, labels=range(classes)))),
        (number_metrics.MeanSquaredError(), found, wanted, theirs.mean_squared_error(wanted, found)),
        (
            number_metrics.RootMeanSquaredError(),
            found,
            wanted,
            theirs.root_mean_squared_error(wanted[:, 0], found[:, 0]),
        ),
        (
            number_metrics.MeanAbsolutePercentageError(),
            found,
            wanted,
            100 * theirs.mean_absolute_percentage_error(wanted, found),
        ),
        (number_metrics.RSquared(), found[:, :1], wanted[:, :1], theirs.r2_score(wanted[:, 0], found[:, 0])),
    ]
    for metric, outputs, targets, value in pairs:
        sums = zero_sums(metric.num_sums)
        if metric.type == "root_mean_squared_error":
            outputs, targets = outputs[:, :1], targets[:, :1]
        for start in range(0, 200, 33):
            metric.add(sums, outputs[start : start + 33], targets[start : start + 33])
        assert metric.value(sums) == pytest.approx(value), metric
    matrix, sums = classification.ConfusionMatrix(), zero_sums(0)
    for start in range(0, 200, 33):
        matrix.add(sums, logits[start : start + 33], true[start : start + 33])
    assert matrix.table(sums) == theirs.confusion_matrix(true, said, labels=range(classes)).tolist()


@pytest.mark.parametrize("columns", [1, 2, 5])
def test_ranking_metric_with_ties_matches_sklearn(columns: int) -> None:
    try:
        from sklearn import metrics as theirs  # noqa: PLC0415  a reference only
    except ImportError as error:
        missing("sklearn", error)
    rng = np.random.default_rng(8)
    some = rng.standard_normal((30, columns)).astype(np.float32)
    logits: Any = some[rng.integers(0, 30, 300)]  # many rows are equal
    true: Any = rng.integers(0, max(columns, 2), 300)
    ours = []
    for metric in (ranking.RocAuc(), ranking.PrAuc()):
        sums = zero_sums(metric.num_sums)
        for start in range(0, 300, 33):
            metric.add(sums, logits[start : start + 33], true[start : start + 33])
        ours.append(metric.value(sums))
    wide = logits.astype(np.float64)
    shares = np.exp(wide) / np.exp(wide).sum(axis=1, keepdims=True)
    scores = {1: wide[:, 0], 2: shares[:, -1]}.get(columns, shares)
    of_each = true if columns < 3 else np.eye(columns)[true]
    expected = [
        theirs.roc_auc_score(true, scores, multi_class="ovr", average="macro"),
        theirs.average_precision_score(of_each, scores, average="macro"),
    ]
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-12)
