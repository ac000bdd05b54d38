"""Losses against PyTorch: the same value and the same gradient."""

import itertools
from typing import Any

import numpy as np
import pytest

from core.nn.losses import Loss, binary, categorical, contrastive, regression
from core.nn.step.context import PassContext
from tests.core.nn.cases import random_targets


def focal_loss(f: Any, z: Any, t: Any) -> Any:
    """Return the focal loss of two classes as in the paper, with γ = 2 and without class balancing."""
    p = f.sigmoid(z)
    p_t = p * t + (1 - p) * (1 - t)
    return (-((1 - p_t) ** 2) * p_t.log()).mean()


def contrastive_loss(f: Any, z: Any, t: Any) -> Any:
    """Return the contrastive loss with margin 4, pair by pair; the pair of a row with itself has no loss."""
    total = z.new_zeros(())
    for i, j in itertools.permutations(range(len(t)), 2):
        distance = (z[i] - z[j]).norm()
        total = total + (distance**2 if t[i] == t[j] else f.relu(4.0 - distance) ** 2)
    return total / len(t) ** 2


def hardest_triplet_loss(f: Any, z: Any, t: Any) -> Any:
    """Return the triplet loss with margin 0.7, row by row, each with its hardest triplet."""
    total = z.new_zeros(())
    for i in range(len(t)):
        distances = [(z[i] - z[j]).norm() if i != j else z.new_zeros(()) for j in range(len(t))]
        own = max((distances[j] for j in range(len(t)) if t[j] == t[i]), key=lambda d: d.item())
        other = min((distances[j] for j in range(len(t)) if t[j] != t[i]), key=lambda d: d.item())
        total = total + f.relu(0.7 + own - other)
    return total / len(t)


LOSSES: list[tuple[Loss, str, tuple[int, ...], Any]] = [
    (regression.MeanSquaredError(), "numbers", (3,), lambda f, z, t: f.mse_loss(z, t)),
    (regression.MeanAbsoluteError(), "numbers", (3,), lambda f, z, t: f.l1_loss(z, t)),
    (
        regression.MeanAbsolutePercentageError(), "numbers", (3,),
        lambda _, z, t: 100 * ((z - t).abs() / t.abs()).mean(),
    ),
    (
        regression.MeanSquaredLogarithmicError(), "counts", (3,),
        lambda f, z, t: f.mse_loss(f.relu(z).log1p(), t.log1p()),
    ),
    (regression.Huber(delta=0.7), "numbers", (3,), lambda f, z, t: f.huber_loss(z, t, delta=0.7)),
    (regression.LogCosh(), "numbers", (3,), lambda _, z, t: (z - t).cosh().log().mean()),
    (
        regression.Quantile(quantile=0.8), "numbers", (3,),
        lambda f, z, t: (0.8 * f.relu(t - z) + 0.2 * f.relu(z - t)).mean(),
    ),
    (regression.Poisson(), "counts", (3,), lambda f, z, t: f.poisson_nll_loss(z, t)),
    (
        regression.GaussianNegativeLogLikelihood(), "halves", (4,),
        lambda f, z, t: f.gaussian_nll_loss(z[:, :2], t, f.softplus(z[:, 2:], threshold=1000) + 1e-6, eps=1e-6),
    ),
    (regression.CosineSimilarity(), "numbers", (3,), lambda f, z, t: -f.cosine_similarity(z, t).mean()),
    (binary.BinaryCrossEntropy(), "binary", (4,), lambda f, z, t: f.binary_cross_entropy_with_logits(z, t)),
    (
        binary.BinaryCrossEntropy(label_smoothing=0.2), "binary", (4,),
        lambda f, z, t: f.binary_cross_entropy_with_logits(z, 0.8 * t + 0.1),
    ),
    (binary.BinaryFocalCrossEntropy(), "binary", (4,), focal_loss),
    (binary.Hinge(), "binary", (1,), lambda f, z, t: f.relu(1 - (2 * t - 1) * z).mean()),
    (binary.SquaredHinge(), "binary", (1,), lambda f, z, t: (f.relu(1 - (2 * t - 1) * z) ** 2).mean()),
    (
        binary.Dice(), "binary", (6,),
        lambda f, z, t: (1 - 2 * (f.sigmoid(z) * t).sum(1) / (f.sigmoid(z).sum(1) + t.sum(1) + 1e-7)).mean(),
    ),
    (categorical.CrossEntropy(), "classes", (5,), lambda f, z, t: f.cross_entropy(z, t)),
    (categorical.CrossEntropy(), "probabilities", (5,), lambda f, z, t: f.cross_entropy(z, t)),
    (
        categorical.CrossEntropy(label_smoothing=0.1), "classes", (5,),
        lambda f, z, t: f.cross_entropy(z, t, label_smoothing=0.1),
    ),
    (
        categorical.CrossEntropy(class_weight=(1, 2, 3, 4, 5)), "classes", (5,),
        lambda f, z, t: ((t + 1) * f.cross_entropy(z, t, reduction="none")).mean(),
    ),
    (
        categorical.FocalCrossEntropy(), "classes", (5,),
        lambda f, z, t: (0.25 * (1 - z.softmax(1)) ** 2 * f.one_hot(t, 5) * -z.log_softmax(1)).sum(1).mean(),
    ),
    (
        categorical.KlDivergence(), "probabilities", (5,),
        lambda f, z, t: f.kl_div(z.log_softmax(1), t, reduction="batchmean"),
    ),
    (
        categorical.CategoricalHinge(), "classes", (5,),
        lambda f, z, t: f.relu(
            1 + z.masked_fill(f.one_hot(t, 5).bool(), -1e9).amax(1) - z.gather(1, t[:, None])[:, 0]
        ).mean(),
    ),
    (contrastive.Contrastive(margin=4.0), "classes", (5,), contrastive_loss),
    (contrastive.Triplet(margin=0.7), "classes", (5,), hardest_triplet_loss),
]  # fmt: skip


@pytest.mark.parametrize(("loss", "kind", "shape", "formula"), LOSSES, ids=lambda v: getattr(v, "type", ""))
def test_loss_value_and_gradient_match_torch(
    torch: Any, loss: Loss, kind: str, shape: tuple[int, ...], formula: Any
) -> None:
    rng = np.random.default_rng(7)
    z, t = 2 * rng.standard_normal((40, *shape)), random_targets(kind, 40, shape, rng)
    theirs = torch.tensor(z, requires_grad=True)
    expected = formula(torch.nn.functional, theirs, torch.from_numpy(t))
    expected.backward()
    value, gradient = loss.forward(z, t, PassContext(np.float64, training=True))
    assert value == pytest.approx(expected.item(), rel=1e-10)
    np.testing.assert_allclose(gradient(), theirs.grad.numpy(), rtol=1e-9, atol=1e-15)
