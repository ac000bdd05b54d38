"""Inspection of one training step: each layer's output, gradient and weight updates.

The step runs through wrappers (taps) around the layers that record what passes through them.
A training that is not inspected pays nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from math import sqrt
from typing import Any, NamedTuple

import numpy as np

from core.nn.arrays import Array, Backward, Shape
from core.nn.losses import Loss
from core.nn.network import Network
from core.nn.optimizers.wrappers import Optimizer
from core.nn.plan import LayerPath, Plan, Views
from core.nn.step.context import PassContext, inference
from core.nn.step.reevaluation import Reevaluation
from core.nn.step.state import State
from core.nn.step.step import training_step
from core.nn.step.update import WeightUpdate, apply_update

BLOCK = 2**20
"""Numbers that are summarized at a time."""


def _finite(block: Array) -> Array:
    """Return the finite entries: the block itself where all are."""
    finite = np.isfinite(block)
    return block if finite.all() else block[finite]


@dataclass(frozen=True, slots=True)
class Summary:
    """Statistics of the finite entries of an array."""

    norm: float
    """The Euclidean norm."""
    mean: float
    std: float
    min: float
    max: float
    zeros: float
    """The fraction of entries that are exactly 0."""
    nonfinite: int
    """The number of entries that are NaN or infinite."""

    @staticmethod
    def of(array: Array) -> Summary:
        """Summarize an array of any shape, in float64, in blocks that bound the memory."""
        flat = array.reshape(-1)
        blocks = [flat[start : start + BLOCK] for start in range(0, flat.size, BLOCK)]
        parts = [part for block in blocks if (part := _finite(block)).size]
        count = sum(part.size for part in parts)
        if not count:
            return Summary(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, array.size)
        mean = sum(float(part.astype(np.float64).sum()) for part in parts) / count
        squares = variance = 0.0
        for part in parts:
            exact = part.astype(np.float64)
            squares += float(np.dot(exact, exact))
            exact -= mean
            variance += float(np.square(exact, out=exact).sum()) / count
        return Summary(
            norm=sqrt(squares),
            mean=mean,
            std=sqrt(variance),
            min=float(min(part.min() for part in parts)),
            max=float(max(part.max() for part in parts)),
            zeros=float(1 - sum(np.count_nonzero(part) for part in parts) / count),
            nonfinite=array.size - count,
        )


@dataclass(frozen=True, slots=True)
class WeightInspection:
    """One weight array, its gradient (penalties included) and the size of its update."""

    weights: Summary
    gradient: Summary
    """Computed for a frozen layer, too."""
    update_ratio: float | None
    """‖Δw‖ / ‖w‖ of the update, constraints included; about 0.001 in a healthy training. None if all weights are 0."""


@dataclass(frozen=True, slots=True)
class LayerInspection:
    """One layer in the step."""

    path: LayerPath
    """The layer's position in the architecture, such as `("layers", 2)`."""
    type: str
    output: Summary
    gradient: Summary | None
    """The gradient of the loss by the layer's output; None if the layer has no backward pass."""
    dead: int
    """The number of units (entries of the last axis) that are 0 for the whole batch."""
    nonfinite_rows: tuple[int, ...]
    """Rows of the batch whose output is not finite."""
    weights: Mapping[str, WeightInspection]
    arrays: Mapping[str, Array] = field(default_factory=dict)
    """If requested: `output`, `gradient`, and `weights.<name>` and `gradients.<name>` of each weight array."""


@dataclass(frozen=True, slots=True)
class StepInspection:
    """The loss and the layers of one step."""

    loss: float
    """The loss before the step, penalties included."""
    layers: tuple[LayerInspection, ...]
    """The layers in the order of the forward pass; a composite comes after its parts."""

    @property
    def first_nonfinite(self) -> LayerInspection | None:
        """Return the first layer whose output is not finite."""
        return next((layer for layer in self.layers if layer.nonfinite_rows), None)


def inspect_step(
    network: Network,
    loss: Loss,
    optimizer: Optimizer,
    state: State,
    x: Array,
    targets: Any,
    *,
    rate: float,
    arrays: bool = False,
) -> StepInspection:
    """Take the next step on the batch `x` `(rows, *input_shape)` at learning rate `rate`, and return its inspection.

    The step is taken on `state` itself: pass a copy of a state that is still needed. `targets` are in the form of the
    data. With `arrays`, the result has the arrays in addition to their summaries.
    """
    passes: list[_Pass] = []
    tapped = Network(_with_taps(network.architecture, (), passes), network.input_shape)
    gradient = np.zeros_like(state.weights)
    update = WeightUpdate(network, optimizer, state, gradient)
    before: dict[int, Array] = {}

    def update_weights(loss: Any, ctx: PassContext) -> float:
        before.update((id(view), view.copy()) for one in passes for view in one.views.weights.values())
        return apply_update(update, rate, reevaluation, None, loss, ctx)

    dtype, shapes, names = gradient.dtype, network.shapes, network.names()
    ctx, other_ctx = (PassContext(dtype, training=True, rng=state.rng, shapes=shapes, names=names) for _ in range(2))
    with np.errstate(all="ignore"):
        targets = loss.encode(targets, network.output_shape)
        plain_views = network.views(state.weights, state.statistics, gradient)
        rng_state = state.rng.bit_generator.state
        reevaluation = Reevaluation(network, loss, plain_views, state, x, targets, other_ctx, rng_state)
        views = tapped.views(state.weights, state.statistics, gradient)
        _, total = training_step(tapped, loss, update_weights, x, targets, views, ctx)
        return StepInspection(total, tuple(one.inspection(before, arrays=arrays) for one in passes))


def inspection_metrics(inspection: StepInspection) -> dict[str, float]:
    """Return an inspection's numbers by name, such as `layers/0/kernel/update_ratio`.

    A repeated layer has the numbers of its last copy.
    """
    return {
        name: float(value) for layer in inspection.layers for name, value in _layer_metrics(layer) if value is not None
    }


def _layer_metrics(layer: LayerInspection) -> Iterator[tuple[str, float | None]]:
    path = "/".join(map(str, layer.path))
    yield f"{path}/dead", layer.dead
    yield from _summary_metrics(f"{path}/output", layer.output)
    if layer.gradient:
        yield from _summary_metrics(f"{path}/gradient", layer.gradient)
    for name, weight in layer.weights.items():
        yield f"{path}/{name}/norm", weight.weights.norm
        yield f"{path}/{name}/gradient_norm", weight.gradient.norm
        yield f"{path}/{name}/update_ratio", weight.update_ratio


def _summary_metrics(name: str, summary: Summary) -> Iterator[tuple[str, float]]:
    yield f"{name}/norm", summary.norm
    yield f"{name}/mean", summary.mean
    yield f"{name}/std", summary.std
    yield f"{name}/zeros", summary.zeros


class NonFiniteOutput(NamedTuple):
    """The first layer whose output is not finite."""

    path: LayerPath
    """The layer's position in the architecture, such as `("layers", 2)`."""
    type: str
    rows: tuple[int, ...]
    """The rows of the batch whose output is not finite."""


def first_nonfinite(network: Network, views: Views, x: Array) -> NonFiniteOutput | None:
    """Predict for `x` `(rows, *input_shape)` and return the first layer, at any depth, whose output is not finite."""
    passes: list[_Pass] = []
    tapped = Network(_with_taps(network.architecture, (), passes), network.input_shape)
    with np.errstate(all="ignore"):
        tapped.forward(x, views, inference(x.dtype))
    return next((NonFiniteOutput(one.path, one.type, one.nonfinite_rows) for one in passes if one.nonfinite_rows), None)


class _Tap(NamedTuple):
    """A layer whose outputs and gradients are recorded in `passes`."""

    layer: Any
    path: LayerPath
    passes: list[_Pass]

    @property
    def type(self) -> str:
        """Return the layer's type."""
        return str(self.layer.type)

    def plan(self, shape: Shape) -> Plan:
        """Return the layer's plan."""
        plan: Plan = self.layer.plan(shape)
        return plan

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """Run the layer and record its output, and in the backward pass its gradient."""
        y, backward = self.layer.forward(x, views, ctx)
        record = _Pass(self.path, self.type, views, y.copy())
        self.passes.append(record)

        def recording_backward(gradient: Array) -> Array:
            record.gradient = gradient.copy()  # the backward pass may overwrite it
            result: Array = backward(gradient)
            return result

        return y, recording_backward


@dataclass(slots=True)
class _Pass:
    """The output of one layer and the gradient by it."""

    path: LayerPath
    type: str
    views: Views
    output: Array
    gradient: Array | None = None

    @property
    def nonfinite_rows(self) -> tuple[int, ...]:
        rows = self.output.reshape(len(self.output), -1)
        return tuple(np.flatnonzero(~np.isfinite(rows).all(axis=1)).tolist())

    def inspection(self, before: Mapping[int, Array], *, arrays: bool) -> LayerInspection:
        units = self.output.reshape(-1, self.output.shape[-1] if self.output.ndim > 1 else 1)
        return LayerInspection(
            path=self.path,
            type=self.type,
            output=Summary.of(self.output),
            gradient=None if self.gradient is None else Summary.of(self.gradient),
            dead=int((units == 0).all(axis=0).sum()),
            nonfinite_rows=self.nonfinite_rows,
            weights={
                name: _weight(before[id(after)], after, self.views.gradients[name])
                for name, after in self.views.weights.items()
            },
            arrays=dict(self._arrays(before)) if arrays else {},
        )

    def _arrays(self, before: Mapping[int, Array]) -> Mapping[str, Array]:
        weights = {f"weights.{name}": before[id(view)] for name, view in self.views.weights.items()}
        gradients = {f"gradients.{name}": view.copy() for name, view in self.views.gradients.items()}
        gradient = {} if self.gradient is None else {"gradient": self.gradient}
        return {"output": self.output, **gradient, **weights, **gradients}


def _weight(before: Array, after: Array, gradient: Array) -> WeightInspection:
    norm = float(np.linalg.norm(before))
    update_norm = float(np.linalg.norm(after - before))
    return WeightInspection(Summary.of(before), Summary.of(gradient), update_norm / norm if norm else None)


def _with_taps(layer: Any, path: LayerPath, passes: list[_Pass]) -> Any:
    """Return a copy of the layer in which each child layer, at any depth, is tapped."""
    changed: dict[str, Any] = {}
    for one in fields(layer):
        value, place = getattr(layer, one.name), (*path, one.name)
        if _is_layer(value):
            changed[one.name] = _tap(value, place, passes)
        elif isinstance(value, tuple) and value and all(map(_is_layer, value)):
            changed[one.name] = tuple(_tap(child, (*place, index), passes) for index, child in enumerate(value))
    return replace(layer, **changed) if changed else layer


def _tap(layer: Any, path: LayerPath, passes: list[_Pass]) -> _Tap:
    return _Tap(_with_taps(layer, path, passes), path, passes)


def _is_layer(value: Any) -> bool:
    return hasattr(value, "plan") and hasattr(value, "forward")
