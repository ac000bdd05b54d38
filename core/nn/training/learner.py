"""Backpropagation, step by step: forward pass, loss, backward pass, update, and again until it is enough.

Training is a generator. At every yield its state is whole: what it goes on from, another process can go on from.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, TypeVar

import numpy as np

from core.nn.arrays import Array
from core.nn.execution.processes import shared
from core.nn.execution.replay import Replayer
from core.nn.execution.sharding import Shards, shards_worth
from core.nn.insight.step_inspection import first_nonfinite, inspect_step, inspection_metrics
from core.nn.losses import Loss
from core.nn.metrics.base import Sums, Table, zero_sums
from core.nn.network import Network
from core.nn.optimizers.slots import FLUSH_STEPS, flush_denormals
from core.nn.optimizers.wrappers import Optimizer
from core.nn.step.context import PassContext, inference
from core.nn.step.passes import Passes
from core.nn.step.reevaluation import Reevaluation
from core.nn.step.state import Best, State
from core.nn.training.bucketing import Buckets
from core.nn.training.data import Data
from core.nn.training.options import Diverged, Epoch, Step, Training
from core.nn.training.stopping import better

Measured = TypeVar("Measured")


class Learner:
    """Everything that the steps of one training share.

    `training.metrics` have to be chosen by now (none if left out). Where it pays, as many processes as there are
    `threads` share a batch; numbers then differ in their last digits from those of one, and are the same again for as
    many.
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
    ) -> None:
        self.network, self.loss, self.optimizer, self.training, self.state = network, loss, optimizer, training, state
        self.x, self.x_validation = data.x, data.x_validation
        self.targets = data.y
        self.y = loss.encode(data.y, network.output_shape)
        self.y_validation = None if data.x_validation is None else loss.encode(data.y_validation, network.output_shape)
        self.sample_weight, self.sample_weight_validation = data.sample_weight, data.sample_weight_validation
        self.rows = len(data.x)
        self.steps = training.steps(self.rows)
        self.metrics = training.metrics or ()
        self.names = network.names()
        self.gradient: Array = np.zeros(state.weights.shape, state.weights.dtype)  # no memory before it is written
        self.shards = self._new_shards(min(training.batch_size, self.rows), threads)
        self.views = network.views(state.weights, state.statistics, self.gradient)
        self.passes = Replayer(Passes(network, loss, self.shards), self.views, record=self.shards is None)
        self.penalized = network.penalized(state.weights, self.gradient)
        self.frozen = [(view, view.copy()) for view in network.frozen(state.weights)]
        self.constrained = network.constrained(state.weights)
        self.again = optimizer.passes > 1
        self.statistics_before = state.statistics.copy()
        bucketed = training.bucket_by_length and data.lengths is not None
        self.buckets = Buckets(network, data.lengths, labels=loss.predicts == "labels") if bucketed else None

    def _new_shards(self, batch: int, threads: int) -> Shards | None:
        """Where they are worth it.

        What changes of the state is then in common: of all else the helpers keep what it was when they were forked.
        """
        count, state = shards_worth(self.network, batch, threads), self.state
        if count == 1:
            return None
        state.weights, state.best_weights = shared(state.weights), shared(state.best_weights)
        state.slots = {name: shared(slot) for name, slot in state.slots.items()}
        return Shards(self.network, state.weights, state.statistics, self.gradient, count=count, rows=batch)

    def close(self) -> None:
        """End the processes that help with a step, if there are any. Else they end with this object."""
        if self.shards is not None:
            self.shards.close()

    def train(self) -> Iterator[Step | Epoch]:
        """Step until a rule or the last epoch ends it; raises `Diverged` instead of a step that is not finite."""
        while self.state.stop is None:
            yield self.step() if self.state.position < self.rows else self.end_epoch()

    def step(self) -> Step:
        """One batch, by as many processes as are worth it."""
        if self.shards is None:
            return self._step()
        with self.shards.one_blas_thread():
            return self._step()

    def _step(self) -> Step:
        """The four lines of backpropagation, and the bookkeeping around them."""
        state = self.state
        ctx = self._new_context()
        x, targets = self._next_batch(ctx)
        rate = state.rate_factor * self.optimizer.learning_rate.at(state.step, self.steps)
        if self.again:
            self._prepare_again(x, targets, ctx)

        outputs, lost = self.passes(ctx, x, targets)
        loss = ctx.loss = self._checked(float(lost), x)
        self.optimizer.update(state.weights, self.gradient, state.slots, state.step, rate, ctx)

        if self.network.statistics_size:
            np.copyto(self.statistics_before, state.statistics)
        for weights, kept in self.frozen:  # an optimizer may change weights without a gradient, such as by decay
            np.copyto(weights, kept)
        for constraint, weights in self.constrained:
            constraint.apply(weights)
        state.step += 1
        if state.step % FLUSH_STEPS == 0:
            flush_denormals(state.slots)
        state.position += len(x)
        self._measure(state.sums, loss, outputs, targets, ctx)
        return Step(state.step, state.epoch + 1, loss, rate)

    def end_epoch(self) -> Epoch:
        """Measure, keep the best weights, and see whether it is enough."""
        state = self.state
        metrics, tables = self._values(state.sums, self.rows), self._tables(state.sums)
        state.sums = {}
        if self.x_validation is not None:
            sums = self._validate(self.x_validation)
            metrics |= _validated(self._values(sums, len(self.x_validation)))
            metrics["val_loss"] += self.network.penalty(state.weights)
            tables |= _validated(self._tables(sums))
        state.epoch += 1
        metrics |= self._looked()
        state.position = 0
        self._keep_best(metrics)
        state.stop = self._why_stop(metrics)
        state.last_loss = metrics["loss"]
        early = self.training.early_stopping
        if state.stop and early and early.restore_best_weights:
            np.copyto(state.weights, state.best_weights)
            np.copyto(state.statistics, state.best_statistics)
        rate = state.rate_factor * self.optimizer.learning_rate.at(max(state.step - 1, 0), self.steps)
        self._lower_rate(metrics)
        return Epoch(state.step, state.epoch, metrics, rate, state.stop, tables)

    def _looked(self) -> dict[str, float]:
        """What a look inside the next step measures, where one is wanted after this epoch; the step is not taken."""
        every, state = self.training.inspect_every, self.state
        if every is None or state.epoch % every:
            return {}
        rows = slice(0, self.training.batch_size)
        rate = state.rate_factor * self.optimizer.learning_rate.at(min(state.step, self.steps - 1), self.steps)
        return inspection_metrics(
            inspect_step(self.network, self.loss, self.optimizer, state, self.x[rows], self.targets[rows], rate=rate)
        )

    def _next_batch(self, ctx: PassContext) -> tuple[Array, Any]:
        state, buckets = self.state, self.buckets
        start, end = state.position, min(state.position + self.training.batch_size, self.rows)
        if self.training.shuffle and start == 0:
            state.order = self._order()
        turn: Any = state.order[start:end] if self.training.shuffle else slice(start, end)
        width = buckets.width(turn) if buckets else 0
        if self.sample_weight is not None:
            ctx.sample_weight = self.sample_weight[turn]
        if self.training.shuffle:
            x = np.take(self.x, turn, axis=0, out=ctx.empty((len(turn), *self.x.shape[1:])), mode="clip")
            y = np.take(self.y, turn, axis=0, out=ctx.empty((len(turn), *self.y.shape[1:]), self.y.dtype), mode="clip")
        else:
            x, y = self.x[turn], self.y[turn]
        if buckets:
            x, y = buckets.cut(x, y, width, ctx.empty)
        if self.training.mixup:
            x, y = self.training.mixup.mix(x, y, self.network.output_shape, ctx, self.state.rng)
        return x, y

    def _order(self) -> Any:
        """The rows of an epoch in the order of their turn."""
        rng = self.state.rng
        order = rng.permutation(self.rows)
        return self.buckets.order(order, self.training.batch_size, rng) if self.buckets else order

    def _new_context(self) -> PassContext:
        state, shapes = self.state, self.network.shapes
        return PassContext(state.weights.dtype, training=True, rng=state.rng, shapes=shapes, names=self.names)

    def _checked(self, loss: float, x: Array) -> float:
        """The loss with its penalties, if it and the gradient are finite."""
        state = self.state
        for regularizer, weight, slope in self.penalized:
            loss += regularizer.penalty(weight)
            regularizer.add_gradient(weight, slope)
        length = float(np.dot(self.gradient, self.gradient))
        if not math.isfinite(loss + length) and not (math.isfinite(loss) and np.isfinite(self.gradient).all()):
            np.copyto(state.statistics, self.statistics_before)
            raise self._diverged(x, loss)
        return loss

    def _prepare_again(self, x: Array, targets: Any, ctx: PassContext) -> None:
        """Give the optimizer more passes on the batch than the first, each as sound as that."""
        state = self.state
        draws = state.rng.bit_generator.state
        own = self._new_context()
        own.sample_weight = ctx.sample_weight
        again = Reevaluation(Passes(self.network, self.loss), self.views, state, x, targets, own, draws)
        ctx.reevaluate = lambda: self._checked(again(), x)

    def _diverged(self, x: Array, loss: float) -> Diverged:
        """What went wrong with the batch `x`, in which layer and for which rows."""
        state = self.state
        found = first_nonfinite(self.network, self.views, x)
        if found is None:
            return Diverged(state.step + 1, state.epoch + 1, "the loss or its gradient", loss)
        number = " of ".join(f"layer {step + 1}" for step in reversed(found.path) if isinstance(step, int))
        where = f"the output of {number} ({found.type})"
        turn = state.order if self.training.shuffle else range(self.rows)
        rows = tuple(int(turn[state.position + row]) for row in found.rows)
        return Diverged(state.step + 1, state.epoch + 1, where, loss, path=found.path, rows=rows)

    def _measure(self, sums: dict[str, Sums], loss: float, outputs: Array, targets: Any, ctx: PassContext) -> None:
        """Gather a batch's loss, by what its rows or steps weigh together, and its metrics."""
        if not sums:
            sums["loss"] = zero_sums(1)
            sums |= {metric.type: zero_sums(metric.num_sums) for metric in self.metrics}
        weights = ctx.weights
        if weights is None:
            sums["loss"][0] += loss * len(outputs)
        else:
            total = float(np.add.reduce(weights, axis=None))
            sums["loss"][0] += loss * total
            sums.setdefault("weight", zero_sums(1))[0] += total
        if self.metrics:
            self._add_metrics(sums, outputs, targets, ctx)

    def _add_metrics(self, sums: dict[str, Sums], outputs: Array, targets: Any, ctx: PassContext) -> None:
        """Numbers and labels as they are predicted, of classes the logits.

        Of numbers and classes only the steps that are there; labels are those of whole sequences. Where each output is
        a yes or a no, it is a row of its own.
        """
        predicts = self.loss.predicts
        answers = outputs if predicts == "classes" else self.loss.link(outputs, ctx.mask)
        if ctx.mask is not None and predicts != "labels":
            answers, targets = answers[ctx.mask], targets[ctx.mask]
        elif predicts == "classes" and outputs.ndim > 2:
            steps = outputs.ndim - 1
            answers, targets = (part.reshape(-1, *part.shape[steps:]) for part in (answers, targets))
        if predicts == "classes" and self.loss.classes(self.network.output_shape) is None:
            answers, targets = answers.reshape(-1, 1), targets.reshape(-1, 1)
        for metric in self.metrics if len(answers) else ():
            metric.add(sums[metric.type], answers, targets)

    def _values(self, sums: dict[str, Sums], rows: int) -> dict[str, float]:
        """The loss and the metrics that so many rows have gathered; 0 where none of their steps is there."""
        counted = sums["weight"][0] if "weight" in sums else rows
        loss = {"loss": sums["loss"][0] / counted if counted else 0.0}
        found = {metric.type: (metric, sums[metric.type]) for metric in self.metrics}
        return loss | {name: metric.value(own) if any(own) else 0.0 for name, (metric, own) in found.items()}

    def _tables(self, sums: dict[str, Sums]) -> dict[str, Table]:
        """What the metrics that are more than a number have gathered; nothing where none of the steps is there."""
        tabled = [metric for metric in self.metrics if metric.tabulates]
        return {metric.type: metric.table(sums[metric.type]) for metric in tabled if any(sums[metric.type])}

    def _validate(self, x: Array) -> dict[str, Sums]:
        """What is gathered over the rows `x` that are kept back."""
        state = self.state
        sums: dict[str, Sums] = {}
        views = self.network.views(state.weights, state.statistics)
        portion = self.network.prediction_batch
        for start in range(0, len(x), portion):
            part = slice(start, start + portion)
            ctx = inference(state.weights.dtype)
            ctx.sample_weight = None if self.sample_weight_validation is None else self.sample_weight_validation[part]
            outputs, _ = self.network.forward(x[part], views, ctx)
            targets: Any = self.y_validation
            loss, _ = self.loss.forward(outputs, targets[part], ctx)
            self._measure(sums, float(loss), outputs, targets[part], ctx)
        return sums

    def _keep_best(self, metrics: dict[str, float]) -> None:
        state, early = self.state, self.training.early_stopping
        monitor = (early and early.monitor) or ("val_loss" if "val_loss" in metrics else "loss")
        value = metrics[monitor]
        if (
            state.best is None
            or state.best.metric != monitor
            or better(monitor, value, state.best.value, early.min_delta if early else 0.0)
        ):
            state.best = Best(monitor, value, state.epoch, state.step)
            state.waited = 0
            np.copyto(state.best_weights, state.weights)
            np.copyto(state.best_statistics, state.statistics)
        else:
            state.waited += 1

    def _lower_rate(self, metrics: dict[str, float]) -> None:
        """Multiply the rate by the rule's factor once the metric has stood still for long enough."""
        state, rule = self.state, self.training.reduce_lr_on_plateau
        if rule is None:
            return
        monitor = rule.monitor or ("val_loss" if "val_loss" in metrics else "loss")
        state.cooling = max(state.cooling - 1, 0)
        if state.plateau is None or better(monitor, metrics[monitor], state.plateau, rule.min_delta):
            state.plateau, state.plateau_waited = metrics[monitor], 0
        elif not state.cooling:
            state.plateau_waited += 1
        if state.plateau_waited >= max(rule.patience, 1):
            usual = self.optimizer.learning_rate.at(state.step, self.steps)
            least = rule.min_lr / usual if usual else 0.0  # a schedule may end at 0
            state.rate_factor = min(state.rate_factor, max(state.rate_factor * rule.factor, least))
            state.plateau_waited, state.cooling = 0, rule.cooldown

    def _why_stop(self, metrics: dict[str, float]) -> str | None:
        state, training = self.state, self.training
        if (target := training.target) and (
            metrics[target.monitor] == target.value or better(target.monitor, metrics[target.monitor], target.value)
        ):
            return "target_reached"
        if (rule := training.convergence) and state.last_loss is not None:
            change = abs(metrics["loss"] - state.last_loss)
            state.still = state.still + 1 if change <= rule.tolerance * abs(state.last_loss) else 0
            if state.still >= rule.epochs:
                return "converged"
        if training.early_stopping and state.waited >= max(training.early_stopping.patience, 1):
            return "early_stopped"
        return "epochs_completed" if state.epoch >= training.epochs else None


def _validated(measured: dict[str, Measured]) -> dict[str, Measured]:
    """The same by the names of what is measured on the rows that are kept back."""
    return {f"val_{name}": value for name, value in measured.items()}
