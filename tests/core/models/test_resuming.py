"""A training that is saved in mid-epoch and loaded goes on to the last bit, whatever its state is made of."""

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

HALF = 10
"""The steps to either side of the cut, which is in the middle of the third epoch."""
RULES: dict[str, Any] = {"epochs": 5, "batch_size": 8, "metrics": ()}
ROWS = 30


def of_layer(case: LayerCase) -> dict[str, Any]:
    """The layer, and one that learns."""
    rng = np.random.default_rng(0)
    x = case.inputs(ROWS, rng).astype(np.float32)
    y = rng.standard_normal((ROWS, *case.output_shape)).astype(np.float32)
    architecture = sequential(case.layer, Dense(units=case.output_shape[-1]))
    return {"data": Rows(x, y), "architecture": architecture, "loss": MeanSquaredError()}


def of_lengths() -> dict[str, Any]:
    """Sequences of words, some of them short, cut to the longest of a batch."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 9, ROWS)
    x = np.where(np.arange(8) < lengths[:, None], rng.integers(1, 4, (ROWS, 8)), 0).astype(np.float32)
    reader = sequential(Embedding(input_dim=4, output_dim=3, mask_zero=True), Gru(units=3), Dense(units=2))
    data = Rows(x, rng.integers(0, 2, ROWS), lengths=lengths)
    return {"data": data, "architecture": reader, "training": Training(**RULES, bucket_by_length=True)}


def of_labels() -> dict[str, Any]:
    """Sequences whose labels are fewer than their steps."""
    rng = np.random.default_rng(0)
    data = Rows(rng.standard_normal((ROWS, 6, 2)).astype(np.float32), rng.integers(0, 3, (ROWS, 3)))
    net = sequential(Gru(units=4, return_sequences=True), Dense(units=3))
    measured = Training(**RULES | {"metrics": (EditDistance(),)})
    return {"data": data, "architecture": net, "loss": Ctc(), "training": measured}


OF_CLASSES = tuple({metric.type: metric for metric, *_ in METRICS if metric.predicts == "classes"}.values())
HELD: list[Sequential] = [
    sequential(Dense(units=5, kernel_constraint=held), Dense(units=2)) for held, *_ in CONSTRAINTS
]
NESTED: list[Optimizer] = [
    ExponentialMovingAverage(overwrite_frequency=5, optimizer=GradientAccumulation(steps=3, optimizer=Nadam())),
    Lookahead(sync_period=4, optimizer=GradientAccumulation(steps=3, optimizer=Lamb())),
    Lookahead(sync_period=2, optimizer=GradientAccumulation(steps=3, optimizer=Muon())),
]
"""Whose steps do not all take the same scratch."""
PLATEAU = ReduceLrOnPlateau(patience=1, factor=0.5, min_delta=1e9)

TABLE: dict[str, dict[str, Any]] = {
    **{f"optimizer-{number}-{one.type}": {"optimizer": one} for number, one in enumerate(OPTIMIZERS)},
    **{f"nested-{number}": {"optimizer": one, "architecture": WIDE} for number, one in enumerate(NESTED)},
    **{
        f"schedule-{number}-{case.schedule.type}": {"optimizer": GradientDescent(learning_rate=case.schedule)}
        for number, case in enumerate(SCHEDULES)
    },
    **{f"layer-{number}-{case.layer.type}": of_layer(case) for number, case in enumerate(LAYERS)},
    **{f"constraint-{number}": {"architecture": net} for number, net in enumerate(HELD)},
    "metrics": {"training": Training(**RULES | {"metrics": OF_CLASSES})},
    "plateau": {"training": Training(**RULES, reduce_lr_on_plateau=PLATEAU)},
    "convergence": {"training": Training(**RULES, convergence=Convergence(tolerance=1e9, epochs=3))},
    "early stopping": {"training": Training(**RULES, early_stopping=EarlyStopping(patience=3, min_delta=1e9))},
    "in order": {"training": Training(**RULES, shuffle=False)},
    "inspected": {"training": Training(**RULES, inspect_every=1)},
    "bucketed": of_lengths(),
    "labels": of_labels(),
    "pairs": {"loss": Triplet()},
    "mixed": {"training": Training(**RULES, mixup=Mixup(alpha=0.5))},
    "mixed, in order and twice": {
        "training": Training(**RULES, shuffle=False, mixup=Mixup()),
        "optimizer": SharpnessAware(optimizer=Adam()),
    },
}
"""Changes to a training of two noisy clouds by the net of which everything matters."""


def a_training(changes: dict[str, Any], state: State | None = None) -> ATraining:
    """A row of the table, from its start or from a state."""
    defaults: dict[str, Any] = {"data": classes(ROWS, validation=10), "architecture": STATEFUL}
    return ATraining(**defaults | {"training": Training(**RULES)} | changes, state=state)


def saved(training: ATraining, after: int | None = None) -> bytes:
    """The checkpoint that is written after so many steps, or in the end."""
    assert training.state is not None
    for _ in training.items():
        if training.state.step == after:
            break
    return encode(training.state, {}, {})


@pytest.mark.parametrize("changes", TABLE.values(), ids=TABLE)
def test_to_resume_in_mid_epoch_is_exact(changes: dict[str, Any]) -> None:
    straight = saved(a_training(changes))
    state = decode(saved(a_training(changes), after=HALF)).state()
    assert (state.step, state.epoch, state.position) == (HALF, 2, 16)
    assert saved(a_training(changes, state)) == straight
