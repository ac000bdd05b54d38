"""The training loop.

`train()` is a generator. At every yield `State` is complete, so another process can resume from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple, NoReturn

import numpy as np

from core.nn.arrays import Array
from core.nn.insight.step_inspection import first_nonfinite, inspect_step, inspection_metrics
from core.nn.losses import Loss
from core.nn.metrics.base import Table
from core.nn.network import Network
from core.nn.optimizers.slots import FLUSH_STEPS, flush_denormals
from core.nn.optimizers.wrappers import Optimizer
from core.nn.plan import LayerPath
from core.nn.step.acceleration import new_stepper
from core.nn.step.context import PassContext
from core.nn.step.reevaluation import Reevaluation
from core.nn.step.state import State
from core.nn.step.update import WeightUpdate, apply_update, learning_rate, scheduled_rate
from core.nn.training.batches import Batches
from core.nn.training.data import Data
from core.nn.training.evaluation import Evaluation, HeldOut, HeldOutEvaluation, InOwnUnit
from core.nn.training.options import Diverged, Epoch, Step, Training
from core.nn.training.stopping import StopReason, keep_best, restore_best


class Learner:
    """One training, from a state to its end.

    `training.metrics` must be resolved (None measures none). Where it pays, as many processes as `threads` share a
    batch: numbers then differ from those of one process in their last digits, and are reproducible for that number.
    """

    def __init__(
        self,
        network: Network,
        loss: Loss,
        optimizer: Optimizer,
        training: Training,
        data: Data,
        state: State,
        *,
        threads: int = 1,
        in_own_unit: InOwnUnit | None = None,
    ) -> None:
        self.network, self.loss, self.optimizer, self.training, self.state = network, loss, optimizer, training, state
        self.data = data
        self.rows = len(data.x)
        self.total_steps = training.steps(self.rows)
        gradient: Array = np.zeros(state.weights.shape, state.weights.dtype)  # no memory before it is written
        batch = min(training.batch_size, self.rows)
        self._stepper = new_stepper(network, loss, state, gradient, rows=batch, threads=threads)
        self._update = WeightUpdate(network, optimizer, state, gradient)
        self._batches = Batches(network, loss, training, data)
        self._evaluation = Evaluation(loss, training.metrics or (), network.output_shape, in_own_unit)
        validation = HeldOut("val_", data.x_validation, data.y_validation, data.sample_weight_validation)
        test = HeldOut("test_", data.x_test, data.y_test, data.sample_weight_test)
        self._validation = HeldOutEvaluation(network, loss, self._evaluation, validation)
        self._test = HeldOutEvaluation(network, loss, self._evaluation, test)
        self._names = network.names()
        self._ctx = self._new_context()
        self._statistics_before = state.statistics.copy()

    def close(self) -> None:
        """End the processes that share the batches, if there are any; they also end with this object."""
        self._stepper.close()

    def train(self) -> Iterator[Step | Epoch]:
        """Yield each step and each epoch until a rule or the last epoch stops the training; raises `Diverged`."""
        while self.state.stop is None:
            yield self.step() if self.state.position < self.rows else self.end_epoch()

    def step(self) -> Step:
        """Take the next step. Raises `Diverged`, with the weights as they were, if it is not finite."""
        state, ctx = self.state, self._ctx
        x, targets = self._batches.next_batch(state, ctx)
        rate = learning_rate(self.optimizer, state, state.step, self.total_steps)
        again = self._reevaluation(x, targets) if self.optimizer.passes > 1 else None
        update = partial(apply_update, self._update, rate, again, partial(self._diverge, x))
        outputs, loss = self._stepper.step(x, targets, ctx, update)
        if self.network.statistics_size:
            np.copyto(self._statistics_before, state.statistics)
        state.step += 1
        if state.step % FLUSH_STEPS == 0:
            flush_denormals(state.slots)
        state.position += len(x)
        self._evaluation.add(state.sums, loss, outputs, targets, ctx)
        return Step(state.step, state.epoch + 1, loss, rate)

    def end_epoch(self) -> Epoch:
        """Evaluate the epoch, keep the best weights, and apply the rules; at the end, test the best weights."""
        state, training = self.state, self.training
        metrics, tables = self._evaluation.values(state.sums, self.rows), self._evaluation.tables(state.sums)
        state.sums = {}
        val_metrics, val_tables = self._validation.evaluate(state.weights, state.statistics)
        metrics |= val_metrics
        state.epoch += 1
        metrics |= self._inspection()
        state.position = 0
        keep_best(state, metrics, training.early_stopping)
        rate = learning_rate(self.optimizer, state, max(state.step - 1, 0), self.total_steps)
        state.stop = self._apply_rules(metrics)
        state.last_loss = metrics["loss"]
        if state.stop and training.early_stopping and training.early_stopping.restore_best_weights:
            restore_best(state)
        test_metrics, test_tables = self._test_best() if state.stop else ({}, {})
        return Epoch(
            state.step, state.epoch, metrics | test_metrics, rate, state.stop, tables | val_tables | test_tables
        )

    def _test_best(self) -> tuple[dict[str, float], dict[str, Table]]:
        """Evaluate the test rows with the best weights, by which predictions are made unless the last are asked for."""
        state = self.state
        if state.best is None:
            return self._test.evaluate(state.weights, state.statistics)
        return self._test.evaluate(state.best_weights, state.best_statistics)

    def _apply_rules(self, metrics: Mapping[str, float]) -> StopReason | None:
        """Update each rule; return the reason of the first that stops the training."""
        state = self.state
        epoch = _EpochEnd(state, metrics, scheduled_rate(self.optimizer, state.step, self.total_steps))
        updated = [rule.update(epoch, state.rules.setdefault(name, {})) for name, rule in self.training.rules()]
        reasons = (reason for reason in updated if reason is not None)
        return next(reasons, "epochs_completed" if state.epoch >= self.training.epochs else None)

    def _inspection(self) -> dict[str, float]:
        """Inspect the next step, where that is due after this epoch; the step is not taken."""
        every, state, data = self.training.inspect_every, self.state, self.data
        if every is None or state.epoch % every:
            return {}
        rows = slice(0, self.training.batch_size)
        rate = learning_rate(self.optimizer, state, min(state.step, self.total_steps - 1), self.total_steps)
        return inspection_metrics(
            inspect_step(self.network, self.loss, self.optimizer, state.copy(), data.x[rows], data.y[rows], rate=rate)
        )

    def _new_context(self) -> PassContext:
        state, shapes = self.state, self.network.shapes
        return PassContext(state.weights.dtype, training=True, rng=state.rng, shapes=shapes, names=self._names)

    def _reevaluation(self, x: Array, targets: Any) -> Reevaluation:
        """Return the evaluation of a batch at other weights, to be made before its step draws random numbers."""
        other = self._new_context()
        other.sample_weight = self._ctx.sample_weight
        rng_state = self.state.rng.bit_generator.state
        return Reevaluation(self.network, self.loss, self._stepper.views, self.state, x, targets, other, rng_state)

    def _diverge(self, x: Array, loss: float) -> NoReturn:
        """Raise the error for a batch `x`, with the layer and the rows where numbers stop being finite."""
        state, where = self.state, "the loss or its gradient"
        path: LayerPath = ()
        rows: tuple[int, ...] = ()
        np.copyto(state.statistics, self._statistics_before)
        if found := first_nonfinite(self.network, self._stepper.views, x):
            number = " of ".join(f"layer {step + 1}" for step in reversed(found.path) if isinstance(step, int))
            where, path = f"the output of {number} ({found.type})", found.path
            rows = tuple(self._batches.row_number(state, row) for row in found.rows)
        raise Diverged(state.step + 1, state.epoch + 1, where, loss, path=path, rows=rows)


class _EpochEnd(NamedTuple):
    """Input of the rules at the end of an epoch."""

    state: State
    metrics: Mapping[str, float]
    scheduled_rate: float
