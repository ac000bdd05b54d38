"""Models of checkpoints."""

import numpy as np
import pytest

from core.data.prepare import prepare
from core.data.sources.inline import Inline
from core.models.checkpoint import decode, encode
from core.models.model import Model, describe
from core.nn.layers.dense import Dense
from core.nn.losses.regression import MeanSquaredError
from core.nn.network import Network
from core.nn.optimizers.adam import Adam
from core.nn.step.state import start
from tests.core.models.checkpoints import a_checkpoint
from tests.core.nn.cases import sequential


def test_model_predicts_labels_from_raw_records() -> None:
    model = Model.of(decode(a_checkpoint()), "last")
    answers = model.predict([[0.05], [1.05]])
    assert all(set(answer) == {"label", "probabilities", "warnings"} for answer in answers)
    assert all(sum(answer["probabilities"].values()) == pytest.approx(1) for answer in answers)
    assert model.nbytes == 4 * 4


def test_best_and_last_weights_are_different_models() -> None:
    checkpoint = decode(a_checkpoint())
    worse = dict(checkpoint.arrays) | {"best_weights": np.zeros(4, np.float32)}
    changed = type(checkpoint)(worse, checkpoint.counters, checkpoint.model, checkpoint.run_info)
    assert Model.of(changed, "best").predict([[9.0]])[0]["probabilities"]["low"] == pytest.approx(0.5)
    assert Model.of(changed, "last").predict([[9.0]]) == Model.of(checkpoint, "last").predict([[9.0]])


def test_best_is_last_before_the_first_epoch_ends() -> None:
    checkpoint = decode(a_checkpoint(items=1))
    assert Model.of(checkpoint, "best").predict([[9.0]]) == Model.of(checkpoint, "last").predict([[9.0]])


def test_model_predicts_numbers_for_numeric_targets() -> None:
    prepared = prepare(Inline(x=[[1], [6]], y=[[2], [12]]), None, 0)
    architecture = sequential(Dense(units=1, use_bias=False))
    state = start(Network(architecture, (1,)), Adam(), 0)
    state.weights[:] = 2
    description = describe(architecture, MeanSquaredError(), prepared.features, prepared.target)
    model = Model.of(decode(encode(state, description, {})))
    assert model.predict([[6], 6]) == [{"value": 12.0, "warnings": []}] * 2
