"""A table of metrics and their values: at least one row for each member."""

from typing import Any

import numpy as np

from core.nn.metrics import Metric, classification, probabilistic, ranking
from core.nn.metrics import regression as number_metrics
from core.nn.metrics import sequences as sequence_metrics

METRICS: list[tuple[Metric, list[Any], list[Any], float]] = [  # outputs, targets, value
    (classification.Accuracy(), [[2, 1, 0], [0, 1, 2], [3, 0, 0], [0, 9, 1]], [0, 2, 1, 1], 0.75),
    (classification.Accuracy(), [[-1], [2], [3]], [[0], [1], [0]], 2 / 3),
    (classification.TopKCategoricalAccuracy(k=2), [[3, 2, 1], [3, 2, 1], [1, 1, 1], [0, 5, 9]], [1, 2, 0, 1], 0.5),
    (classification.TopKCategoricalAccuracy(k=1), [[-1], [2], [3]], [[0], [1], [0]], 2 / 3),
    (classification.Precision(), [[1], [2], [3], [-1]], [[0], [1], [1], [1]], 2 / 3),
    (classification.Precision(), [[2, 1, 0], [0, 1, 2], [3, 0, 0], [0, 9, 1]], [0, 2, 1, 1], 5 / 6),
    (classification.Recall(), [[2, 1, 0], [0, 1, 2], [3, 0, 0], [0, 9, 1]], [0, 2, 1, 1], 5 / 6),
    (classification.FBeta(beta=2), [[1], [2], [3], [-1], [-1]], [[0], [1], [1], [1], [1]], 10 / 19),
    (classification.IntersectionOverUnion(), [[2, 1, 0], [0, 1, 2], [3, 0, 0], [0, 9, 1]], [0, 2, 1, 1], 2 / 3),
    (classification.IntersectionOverUnion(), [[1], [2], [3], [-1]], [[0], [1], [1], [1]], 1 / 2),
    (classification.ConfusionMatrix(), [[2, 1, 0], [0, 1, 2], [3, 0, 0], [0, 9, 1]], [0, 2, 1, 1], 1 / 4),
    (classification.ConfusionMatrix(), [[1], [2], [3], [-1]], [[0], [1], [1], [1]], 1 / 2),
    (probabilistic.LogLoss(), [[0], [0], [np.log(3)]], [[0], [1], [1]], (2 * np.log(2) - np.log(0.75)) / 3),
    (probabilistic.LogLoss(), [[0, np.log(3)], [0, 0]], [[0.5, 0.5], [0, 1]], (-np.log(3 / 16) / 2 + np.log(2)) / 2),
    (probabilistic.Perplexity(), [[1, 1, 1, 1], [2, 2, 2, 2]], [0, 3], 4),
    (
        probabilistic.ExpectedCalibrationError(bins=2),
        [[0, np.log(3)], [np.log(3), 0], [0, np.log(3)]],
        [1, 1, 1],
        1 / 12,
    ),
    (ranking.RocAuc(), [[1], [2], [2], [3]], [[0], [0], [1], [1]], 7 / 8),
    (ranking.RocAuc(), [[5, 1, 1], [1, 5, 1], [1, 1, 5], [5, 1, 1]], [0, 1, 2, 1], (5 / 6 + 3 / 4 + 1) / 3),
    (ranking.PrAuc(), [[1], [2], [2], [3]], [[0], [0], [1], [1]], 5 / 6),
    (ranking.PrAuc(), [[0, 3], [0, 2], [0, 1]], [[0, 1], [1, 0], [0, 1]], 5 / 6),
    (number_metrics.MeanSquaredErrorMetric(), [[1, 2], [3, 4]], [[1, 0], [0, 4]], 13 / 4),
    (number_metrics.RootMeanSquaredError(), [[1, 2], [3, 4]], [[1, 0], [0, 4]], (13 / 4) ** 0.5),
    (number_metrics.MeanAbsolutePercentageErrorMetric(), [[1], [3]], [[2], [4]], 37.5),
    (number_metrics.MeanAbsoluteErrorMetric(), [[1, 2], [3, 4]], [[1, 0], [0, 4]], 1.25),
    (number_metrics.RSquared(), [[1], [2], [4]], [[1], [2], [3]], 0.5),
    (sequence_metrics.EditDistance(), [[1, 2, 3, 0], [2, 2, 0, 0]], [[1, 3, 0], [2, 1, 2]], 2 / 5),
]
