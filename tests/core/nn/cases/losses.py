"""A table of losses: at least one row for each member."""

from typing import Any, NamedTuple

import numpy as np

from core.nn.arrays import Shape
from core.nn.losses import Loss, binary, categorical, contrastive, ctc, regression


class LossCase(NamedTuple):
    """A loss, the shape of a row of outputs, and the kind of its targets, a key of `random_targets`."""

    loss: Loss
    output_shape: Shape
    targets: str


def random_targets(kind: str, rows: int, shape: Shape, rng: np.random.Generator) -> Any:
    """Return random targets of a kind for outputs `(rows, *shape)`."""
    made: dict[str, Any] = {
        "numbers": rng.standard_normal((rows, *shape)),
        "halves": rng.standard_normal((rows, *shape[:-1], shape[-1] // 2)),
        "counts": rng.poisson(2, (rows, *shape)).astype(float),
        "binary": rng.integers(0, 2, (rows, *shape)).astype(float),
        "classes": rng.integers(0, shape[-1], (rows, *shape[:-1])),
        "probabilities": rng.dirichlet(np.ones(shape[-1]), (rows, *shape[:-1])),
    }
    if kind == "labels":  # at most half as many as steps, so that two equal labels have a step between them
        longest = shape[0] // 2
        present = np.arange(longest) < rng.integers(0, longest + 1, (rows, 1))
        return rng.integers(1, shape[-1], (rows, longest)) * present
    return made[kind]


LOSSES: list[LossCase] = [
    LossCase(regression.MeanSquaredError(), (3,), "numbers"),
    LossCase(regression.MeanSquaredError(), (2, 3), "numbers"),
    LossCase(regression.MeanAbsoluteError(), (2, 3), "numbers"),
    LossCase(regression.MeanAbsolutePercentageError(), (3,), "numbers"),
    LossCase(regression.MeanSquaredLogarithmicError(), (3,), "counts"),
    LossCase(regression.Huber(delta=0.7), (3,), "numbers"),
    LossCase(regression.LogCosh(), (2, 3), "numbers"),
    LossCase(regression.Quantile(quantile=0.8), (3,), "numbers"),
    LossCase(regression.Poisson(), (3,), "counts"),
    LossCase(regression.GaussianNegativeLogLikelihood(), (4,), "halves"),
    LossCase(regression.CosineSimilarity(), (2, 3), "numbers"),
    LossCase(binary.BinaryCrossEntropy(), (1,), "binary"),
    LossCase(binary.BinaryCrossEntropy(), (4,), "binary"),
    LossCase(binary.BinaryCrossEntropy(label_smoothing=0.2), (1,), "binary"),
    LossCase(binary.BinaryFocalCrossEntropy(), (1,), "binary"),
    LossCase(binary.BinaryFocalCrossEntropy(gamma=0.5, apply_class_balancing=True), (4,), "binary"),
    LossCase(binary.Hinge(), (1,), "binary"),
    LossCase(binary.SquaredHinge(), (4,), "binary"),
    LossCase(binary.Dice(), (2, 4), "binary"),
    LossCase(categorical.CrossEntropy(), (5,), "classes"),
    LossCase(categorical.CrossEntropy(), (5,), "probabilities"),
    LossCase(categorical.CrossEntropy(), (3, 5), "classes"),
    LossCase(categorical.CrossEntropy(label_smoothing=0.1), (2, 3, 5), "probabilities"),
    LossCase(categorical.CrossEntropy(label_smoothing=0.1, class_weight=(1, 2, 3, 4, 5)), (5,), "classes"),
    LossCase(categorical.FocalCrossEntropy(), (5,), "classes"),
    LossCase(categorical.FocalCrossEntropy(gamma=0.5, alpha=1), (3, 5), "probabilities"),
    LossCase(categorical.KlDivergence(), (5,), "probabilities"),
    LossCase(categorical.KlDivergence(), (2, 5), "probabilities"),
    LossCase(categorical.KlDivergence(), (5,), "classes"),
    LossCase(categorical.CategoricalHinge(), (5,), "classes"),
    LossCase(categorical.CategoricalHinge(), (3, 5), "classes"),
    LossCase(ctc.Ctc(), (6, 4), "labels"),
    LossCase(ctc.Ctc(zero_infinity=True), (5, 3), "labels"),
    LossCase(contrastive.Contrastive(), (3,), "classes"),
    LossCase(contrastive.Contrastive(margin=3.0), (5,), "classes"),
    LossCase(contrastive.Triplet(), (3,), "classes"),
    LossCase(contrastive.Triplet(margin=4.0), (5,), "classes"),
]
