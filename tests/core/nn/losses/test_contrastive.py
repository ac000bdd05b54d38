"""Pairwise losses: training, weights, special cases and memory."""

from typing import Any

import numpy as np
import pytest

from core.nn.activations import Tanh
from core.nn.layers.dense import Dense
from core.nn.losses.base import Targets
from core.nn.losses.contrastive import Contrastive, PairwiseLosses, Triplet
from core.nn.optimizers.adam import Adam
from core.nn.predictor import Predictor
from core.nn.schedules import ConstantRate
from core.nn.step.context import PassContext
from core.nn.training.options import Training
from tests.core.nn.cases import sequential
from tests.core.nn.trainings import ATraining, Rows, peak_bytes

PAIRS: list[PairwiseLosses] = [Contrastive(), Triplet()]


def context(sample_weight: Any = None) -> PassContext:
    """Return a float64 context with sample weights."""
    ctx = PassContext(np.float64, training=True)
    ctx.sample_weight = sample_weight
    ctx.combine_weights()
    return ctx


@pytest.mark.parametrize("loss", PAIRS, ids=lambda loss: loss.type)
def test_training_separates_the_classes(loss: PairwiseLosses) -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 90)
    signal = 0.3 * np.stack([np.cos(y * 2.1), np.sin(y * 2.1)], axis=1) + 0.1 * rng.standard_normal((90, 2))
    x = np.concatenate([signal, rng.standard_normal((90, 2))], axis=1).astype(np.float32)
    net = sequential(Dense(units=16, activation=Tanh()), Dense(units=2))
    adam = Adam(learning_rate=ConstantRate(learning_rate=0.01))
    training = ATraining(Rows(x, y), net, loss, adam, Training(epochs=100, batch_size=30, metrics=()))

    def distance_ratio() -> float:
        """Return the mean distance within classes divided by that between classes."""
        assert training.state is not None
        z = Predictor(training.network, training.weights, training.state.statistics).outputs(x)
        distances, same = np.linalg.norm(z[:, None] - z, axis=-1), y[:, None] == y
        return float(distances[same].mean() / distances[~same].mean())

    before = distance_ratio()
    training.run()
    assert before > 0.8
    assert distance_ratio() < 0.4


@pytest.mark.parametrize("loss", PAIRS, ids=lambda loss: loss.type)
@pytest.mark.parametrize("classes", [[4], [4, 4, 4]])
def test_loss_of_a_single_class_is_finite(loss: PairwiseLosses, classes: list[int]) -> None:
    z = np.random.default_rng(0).standard_normal((len(classes), 3))
    value, backward = loss.forward(z, np.array(classes), context())
    assert (value == 0) == (loss.type == "triplet" or len(classes) == 1)
    assert np.isfinite(backward()).all()


def test_triplet_ignores_rows_of_weight_zero() -> None:
    z = np.array([[0.0], [1.0], [5.0], [1.5]])
    value, backward = Triplet().forward(z, np.array([0, 0, 0, 1]), context(np.array([1.0, 1.0, 0.0, 1.0])))
    assert value == pytest.approx(((1 + 1 - 1.5) + (1 + 1 - 0.5) + (1 - 0.5)) / 3)
    assert backward()[2] == 0


@pytest.mark.parametrize("loss", PAIRS, ids=lambda loss: loss.type)
def test_loss_of_nan_is_nan(loss: PairwiseLosses) -> None:
    z = np.array([[0.0], [np.nan], [1.0]])
    assert np.isnan(loss.forward(z, np.array([0, 1, 1]), context())[0])


@pytest.mark.parametrize("loss", PAIRS, ids=lambda loss: loss.type)
def test_gradient_of_coincident_rows_is_zero(loss: PairwiseLosses) -> None:
    value, backward = loss.forward(np.ones((4, 3)), np.array([0, 0, 1, 1]), context())
    assert value > 0
    assert not backward().any()


@pytest.mark.parametrize("loss", PAIRS, ids=lambda loss: loss.type)
def test_peak_memory_of_a_batch_is_within_scratch_bytes(loss: PairwiseLosses) -> None:
    rng = np.random.default_rng(5)
    outputs, classes = rng.standard_normal((512, 40)).astype(np.float32), rng.integers(0, 9, 512)

    def passes() -> Any:
        _, backward = loss.forward(outputs, classes, PassContext(training=True))
        return backward()

    peak = peak_bytes(passes)
    estimated = loss.scratch_bytes(512, (40,), Targets(classes=9))
    assert estimated / 1.3 < peak < estimated
