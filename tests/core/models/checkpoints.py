"""Checkpoints for the tests of models."""

from core.data.prepare import prepare
from core.data.sources.inline import Inline
from core.models.checkpoint import encode
from core.models.model import describe
from core.nn.layers.dense import Dense
from core.nn.losses.categorical import CrossEntropy
from core.nn.network import Network
from core.nn.optimizers.adam import Adam
from core.nn.step.state import start
from core.nn.training.learner import Learner
from core.nn.training.options import Training
from tests.core.nn.cases import sequential

LOW_OR_HIGH = Inline(x=[[0.0], [0.1], [1.0], [1.1]], y=["low", "low", "high", "high"])


def a_checkpoint(epochs: int = 60, items: int | None = None) -> bytes:
    """Return a checkpoint of a two-class training, complete or after so many items."""
    prepared = prepare(LOW_OR_HIGH, None, 0)
    architecture, loss = sequential(Dense(units=2)), CrossEntropy()
    optimizer = Adam()
    network = Network(architecture, prepared.x.shape[1:])
    state = start(network, optimizer, 0)
    training = Learner(network, loss, optimizer, Training(epochs=epochs, metrics=()), prepared, state).train()
    for turn, _ in enumerate(training):
        if turn + 1 == items:
            break
    description = describe(architecture, loss, prepared.features, prepared.target)
    return encode(state, description, {"emitted": 7})
