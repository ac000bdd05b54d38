"""Losses that compare the rows of a batch: what they teach, what they take, and who counts."""

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


def a_run(sample_weight: Any = None) -> PassContext:
    run = PassContext(np.float64, training=True)
    run.sample_weight = sample_weight
    run.combine_weights()
    return run


@pytest.mark.parametrize("loss", PAIRS, ids=lambda loss: loss.type)
def test_classes_part(loss: PairwiseLosses) -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 90)
    telling = 0.3 * np.stack([np.cos(y * 2.1), np.sin(y * 2.1)], axis=1) + 0.1 * rng.standard_normal((90, 2))
    x = np.concatenate([telling, rng.standard_normal((90, 2))], axis=1).astype(np.float32)
    net = sequential(Dense(units=16, activation=Tanh()), Dense(units=2))
    adam = Adam(learning_rate=ConstantRate(learning_rate=0.01))
    one = ATraining(Rows(x, y), net, loss, adam, Training(epochs=100, batch_size=30, metrics=()))

    def spread() -> float:
        assert one.state is not None
        z = Predictor(one.network, one.weights, one.state.statistics).outputs(x)
        far, alike = np.linalg.norm(z[:, None] - z, axis=-1), y[:, None] == y
        return float(far[alike].mean() / far[~alike].mean())

    before = spread()
    one.run()
    assert before > 0.8
    assert spread() < 0.4


@pytest.mark.parametrize("loss", PAIRS, ids=lambda loss: loss.type)
@pytest.mark.parametrize("classes", [[4], [4, 4, 4]])
def test_without_another_class_nothing_pushes(loss: PairwiseLosses, classes: list[int]) -> None:
    z = np.random.default_rng(0).standard_normal((len(classes), 3))
    value, backward = loss.forward(z, np.array(classes), a_run())
    assert (value == 0) == (loss.type == "triplet" or len(classes) == 1)
    assert np.isfinite(backward()).all()


def test_a_row_that_weighs_nothing_is_nobodys_hardest() -> None:
    z = np.array([[0.0], [1.0], [5.0], [1.5]])
    value, backward = Triplet().forward(z, np.array([0, 0, 0, 1]), a_run(np.array([1.0, 1.0, 0.0, 1.0])))
    assert value == pytest.approx(((1 + 1 - 1.5) + (1 + 1 - 0.5) + (1 - 0.5)) / 3)
    assert backward()[2] == 0


@pytest.mark.parametrize("loss", PAIRS, ids=lambda loss: loss.type)
def test_what_is_no_number_is_not_hidden(loss: PairwiseLosses) -> None:
    z = np.array([[0.0], [np.nan], [1.0]])
    assert np.isnan(loss.forward(z, np.array([0, 1, 1]), a_run())[0])


@pytest.mark.parametrize("loss", PAIRS, ids=lambda loss: loss.type)
def test_rows_at_one_place_have_no_direction(loss: PairwiseLosses) -> None:
    value, backward = loss.forward(np.ones((4, 3)), np.array([0, 0, 1, 1]), a_run())
    assert value > 0
    assert not backward().any()


@pytest.mark.parametrize("loss", PAIRS, ids=lambda loss: loss.type)
def test_a_batch_takes_the_memory_that_is_estimated(loss: PairwiseLosses) -> None:
    rng = np.random.default_rng(5)
    outputs, classes = rng.standard_normal((512, 40)).astype(np.float32), rng.integers(0, 9, 512)

    def passes() -> Any:
        _, backward = loss.forward(outputs, classes, PassContext(training=True))
        return backward()

    peak = peak_bytes(passes)
    said = loss.scratch_bytes(512, (40,), Targets(classes=9))
    assert said / 1.3 < peak < said
