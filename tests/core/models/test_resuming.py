"""Resuming from a checkpoint within an epoch, for every kind of training state."""

from typing import Any

import numpy as np
import pytest

from core.models.checkpoint import decode, encode
from core.nn.layers.composite import Sequential
from core.nn.layers.dense import Dense
from core.nn.layers.embedding import Embedding
from core.nn.layers.recurrent import Gru
from core.nn.losses.contrastive import Triplet
from core.nn.losses.ctc import Ctc
from core.nn.losses.regression import MeanSquaredError
from core.nn.metrics.sequences import EditDistance
from core.nn.optimizers.adam import Adam, Lamb, Nadam
from core.nn.optimizers.matrix import Muon
from core.nn.optimizers.sgd import GradientDescent
from core.nn.optimizers.wrappers import (
    ExponentialMovingAverage,
    GradientAccumulation,
    Lookahead,
    Optimizer,
    SharpnessAware,
)
from core.nn.step.state import State
from core.nn.training.mixup import Mixup
from core.nn.training.options import Training
from core.nn.training.stopping import Convergence, EarlyStopping, ReduceLrOnPlateau
from tests.core.nn.cases import CONSTRAINTS, LAYERS, METRICS, OPTIMIZERS, SCHEDULES, LayerCase, sequential
from tests.core.nn.trainings import STATEFUL, WIDE, ATraining, Rows, classes

CUT_AT_STEP = 10
"""The step of the checkpoint, which is in the middle of the third epoch."""
TRAINING: dict[str, Any] = {"epochs": 5, "batch_size": 8, "metrics": ()}
ROWS = 30


def layer_training(case: LayerCase) -> dict[str, Any]:
    """Return the changes for the layer, followed by a dense layer."""
    rng = np.random.default_rng(0)
    x = case.inputs(ROWS, rng).astype(np.float32)
    y = rng.standard_normal((ROWS, *case.output_shape)).astype(np.float32)
    architecture = sequential(case.layer, Dense(units=case.output_shape[-1]))
    return {"data": Rows(x, y), "architecture": architecture, "loss": MeanSquaredError()}


def bucketed_training() -> dict[str, Any]:
    """Return the changes for sequences of different lengths, each batch cut to its longest."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 9, ROWS)
    x = np.where(np.arange(8) < lengths[:, None], rng.integers(1, 4, (ROWS, 8)), 0).astype(np.float32)
    reader = sequential(Embedding(input_dim=4, output_dim=3, mask_zero=True), Gru(units=3), Dense(units=2))
    data = Rows(x, rng.integers(0, 2, ROWS), lengths=lengths)
    return {"data": data, "architecture": reader, "training": Training(**TRAINING, bucket_by_length=True)}


def ctc_training() -> dict[str, Any]:
    """Return the changes for sequences with fewer labels than steps."""
    rng = np.random.default_rng(0)
    data = Rows(rng.standard_normal((ROWS, 6, 2)).astype(np.float32), rng.integers(0, 3, (ROWS, 3)))
    net = sequential(Gru(units=4, return_sequences=True), Dense(units=3))
    measured = Training(**TRAINING | {"metrics": (EditDistance(),)})
    return {"data": data, "architecture": net, "loss": Ctc(), "training": measured}


CLASS_METRICS = tuple({metric.type: metric for metric, *_ in METRICS if metric.predicts == "classes"}.values())
CONSTRAINED: list[Sequential] = [
    sequential(Dense(units=5, kernel_constraint=constraint), Dense(units=2)) for constraint, *_ in CONSTRAINTS
]
NESTED_OPTIMIZERS: list[Optimizer] = [
    ExponentialMovingAverage(overwrite_frequency=5, optimizer=GradientAccumulation(steps=3, optimizer=Nadam())),
    Lookahead(sync_period=4, optimizer=GradientAccumulation(steps=3, optimizer=Lamb())),
    Lookahead(sync_period=2, optimizer=GradientAccumulation(steps=3, optimizer=Muon())),
]
"""Optimizers whose steps do not all use the same scratch memory."""
PLATEAU = ReduceLrOnPlateau(patience=1, factor=0.5, min_delta=1e9)

TABLE: dict[str, dict[str, Any]] = {
    **{f"optimizer-{number}-{one.type}": {"optimizer": one} for number, one in enumerate(OPTIMIZERS)},
    **{f"nested-{number}": {"optimizer": one, "architecture": WIDE} for number, one in enumerate(NESTED_OPTIMIZERS)},
    **{
        f"schedule-{number}-{case.schedule.type}": {"optimizer": GradientDescent(learning_rate=case.schedule)}
        for number, case in enumerate(SCHEDULES)
    },
    **{f"layer-{number}-{case.layer.type}": layer_training(case) for number, case in enumerate(LAYERS)},
    **{f"constraint-{number}": {"architecture": net} for number, net in enumerate(CONSTRAINED)},
    "metrics": {"training": Training(**TRAINING | {"metrics": CLASS_METRICS})},
    "plateau": {"training": Training(**TRAINING, reduce_lr_on_plateau=PLATEAU)},
    "convergence": {"training": Training(**TRAINING, convergence=Convergence(tolerance=1e9, epochs=3))},
    "early stopping": {"training": Training(**TRAINING, early_stopping=EarlyStopping(patience=3, min_delta=1e9))},
    "in order": {"training": Training(**TRAINING, shuffle=False)},
    "inspected": {"training": Training(**TRAINING, inspect_every=1)},
    "bucketed": bucketed_training(),
    "labels": ctc_training(),
    "pairs": {"loss": Triplet()},
    "mixed": {"training": Training(**TRAINING, mixup=Mixup(alpha=0.5))},
    "mixed, in order and twice": {
        "training": Training(**TRAINING, shuffle=False, mixup=Mixup()),
        "optimizer": SharpnessAware(optimizer=Adam()),
    },
}
"""Changes to a classification of two noisy clusters by a network with all kinds of state."""


def a_training(changes: dict[str, Any], state: State | None = None) -> ATraining:
    """Return the training of a row of the table, from its start or from a state."""
    defaults: dict[str, Any] = {"data": classes(ROWS, validation=10), "architecture": STATEFUL}
    return ATraining(**defaults | {"training": Training(**TRAINING)} | changes, state=state)


def checkpoint_of(training: ATraining, stop_at: int | None = None) -> bytes:
    """Return the checkpoint after the step `stop_at`, or the final one."""
    assert training.state is not None
    for _ in training.items():
        if training.state.step == stop_at:
            break
    return encode(training.state, {}, {})


@pytest.mark.parametrize("changes", TABLE.values(), ids=TABLE)
def test_resume_within_an_epoch_is_exact(changes: dict[str, Any]) -> None:
    uninterrupted = checkpoint_of(a_training(changes))
    state = decode(checkpoint_of(a_training(changes), stop_at=CUT_AT_STEP)).state()
    assert (state.step, state.epoch, state.position) == (CUT_AT_STEP, 2, 16)
    assert checkpoint_of(a_training(changes, state)) == uninterrupted
