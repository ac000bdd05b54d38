"""A look inside one step: what each layer emits, which gradients come back, how far the weights would move.

The step is taken aside, on copies, through layers that are tapped for it: a training that nobody looks into pays
nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, NamedTuple

import numpy as np

from core.nn.arrays import Array, Backward, Shape
from core.nn.losses import Loss
from core.nn.network import Network
from core.nn.optimizers.wrappers import Optimizer
from core.nn.plan import Plan, Views
from core.nn.step.context import PassContext, inference
from core.nn.step.passes import Passes
from core.nn.step.reevaluation import Reevaluation
from core.nn.step.state import State

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Summary:
    """An array in a few numbers, of its finite entries."""

    norm: float
    """Its length: the root of the sum of squares."""
    mean: float
    std: float
    least: float
    greatest: float
    zeros: float
    """The share of entries that are exactly 0."""
    nonfinite: int
    """How many entries are NaN or infinite."""

    @staticmethod
    def of(array: Array) -> Summary:
        """The summary of an array of any shape, computed in float64."""
        finite = array[np.isfinite(array)].astype(np.float64)
        lost = array.size - finite.size
        if not finite.size:
            return Summary(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, lost)
        zeros = float(1 - np.count_nonzero(finite) / finite.size)
        norm = float(np.sqrt(np.dot(finite, finite)))
        spread = float(finite.mean()), float(finite.std()), float(finite.min()), float(finite.max())
        return Summary(norm, *spread, zeros, lost)


@dataclass(frozen=True, slots=True)
class WeightInspection:
    """One array of weights, its gradient (penalties included), and the step that the optimizer would take."""

    weights: Summary
    gradient: Summary
    """Where the layer is frozen: what it would be."""
    update_ratio: float | None
    """‖Δw‖ / ‖w‖, constraints included; a healthy training has some 0.001. None where the weights are all 0."""


@dataclass(frozen=True, slots=True)
class LayerInspection:
    """What one layer did in the step."""

    path: Path
    """Where it stands in the architecture, such as `("layers", 2)`."""
    type: str
    output: Summary
    gradient: Summary | None
    """Of the loss with regard to its output; None where no backward pass is made."""
    dead: int
    """Units (entries of the last axis) that are 0 for the whole batch."""
    nonfinite_rows: tuple[int, ...]
    """Rows of the batch whose output is not finite."""
    weights: Mapping[str, WeightInspection]
    arrays: Mapping[str, Array] = field(default_factory=dict)
    """`output`, `gradient` and each `weights.…`, `gradients.…`, where they were asked for."""


@dataclass(frozen=True, slots=True)
class StepInspection:
    """One step, seen from inside."""

    loss: float
    """Before the step, penalties included."""
    layers: tuple[LayerInspection, ...]
    """In the order of the forward pass; a composite comes after its parts."""

    @property
    def first_nonfinite(self) -> LayerInspection | None:
        """The first layer whose output is not finite."""
        return next((layer for layer in self.layers if layer.nonfinite_rows), None)


def look(
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
    """Take the next step on the batch `x` `(rows, *input_shape)` aside, at learning rate `rate`.

    `state` stays as it is; `targets` are as the data has them. With `arrays` the numbers themselves come along, not
    their summaries alone.
    """
    aside = State.restore(state.arrays(), state.counters())
    taps: list[_Pass] = []
    tapped = Network(_tapped(network.architecture, (), taps), network.input_shape)
    gradient = np.zeros_like(aside.weights)
    views = tapped.views(aside.weights, aside.statistics, gradient)
    ctx = PassContext(aside.weights.dtype, training=True, rng=aside.rng, shapes=network.shapes, names=network.names())
    with np.errstate(all="ignore"):
        targets = loss.encode(targets, network.output_shape)
        draws = aside.rng.bit_generator.state
        _, lost = Passes(tapped, loss)(x, targets, views, ctx)
        lost = float(lost) + tapped.penalty(aside.weights)
        tapped.add_penalty_gradient(aside.weights, gradient)
        own = PassContext(gradient.dtype, training=True, rng=aside.rng)
        untapped = network.views(aside.weights, aside.statistics, gradient)
        ctx.loss = lost
        ctx.reevaluate = _again(Reevaluation(Passes(network, loss), untapped, aside, x, targets, own, draws), gradient)
        before = {id(view): view.copy() for one in taps for view in one.views.weights.values()}
        kept = [(view, view.copy()) for view in tapped.frozen(aside.weights)]
        optimizer.update(aside.weights, gradient, aside.slots, aside.step, rate, ctx)
        for view, copy in kept:
            np.copyto(view, copy)
        for constraint, weight in tapped.constrained(aside.weights):
            constraint.apply(weight)
        return StepInspection(lost, tuple(one.told(before, arrays=arrays) for one in taps))


def _again(again: Reevaluation, gradient: Array) -> Callable[[], float]:
    """A pass of the network that is looked into, untapped and with its penalties."""
    network, weights = again.passes.network, again.state.weights

    def penalized() -> float:
        lost = again()
        network.add_penalty_gradient(weights, gradient)
        return lost + network.penalty(weights)

    return penalized


def measures(seen: StepInspection) -> dict[str, float]:
    """The numbers of a look by name, such as `layers/0/kernel/update_ratio`; of a repeated layer the last copy's."""
    return {name: float(value) for layer in seen.layers for name, value in _measured(layer) if value is not None}


def _measured(layer: LayerInspection) -> Iterator[tuple[str, float | None]]:
    place = "/".join(map(str, layer.path))
    yield f"{place}/dead", layer.dead
    yield from _summed_up(f"{place}/output", layer.output)
    if layer.gradient:
        yield from _summed_up(f"{place}/gradient", layer.gradient)
    for name, told in layer.weights.items():
        yield f"{place}/{name}/norm", told.weights.norm
        yield f"{place}/{name}/gradient_norm", told.gradient.norm
        yield f"{place}/{name}/update_ratio", told.update_ratio


def _summed_up(name: str, summary: Summary) -> Iterator[tuple[str, float]]:
    for what in ("norm", "mean", "std", "zeros"):
        yield f"{name}/{what}", getattr(summary, what)


class NonFinite(NamedTuple):
    """Where numbers stop being finite."""

    path: Path
    """The first layer whose output is not, such as `("layers", 2)`."""
    type: str
    rows: tuple[int, ...]
    """Those of the batch in which it is not."""


def first_nonfinite(network: Network, views: Views, x: Array) -> NonFinite | None:
    """Predict for `x` `(rows, *input_shape)` and find the first layer, however deep, whose output is not finite."""
    taps: list[_Pass] = []
    tapped = Network(_tapped(network.architecture, (), taps), network.input_shape)
    with np.errstate(all="ignore"):
        tapped.forward(x, views, inference(x.dtype))
    return next((NonFinite(one.path, one.type, one.nonfinite_rows) for one in taps if one.nonfinite_rows), None)


class _Tap(NamedTuple):
    """A layer that is listened to."""

    layer: Any
    path: Path
    passes: list[_Pass]

    @property
    def type(self) -> str:
        """The layer's."""
        return str(self.layer.type)

    def plan(self, shape: Shape) -> Plan:
        """The layer's."""
        plan: Plan = self.layer.plan(shape)
        return plan

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """The layer's, written down."""
        y, backward = self.layer.forward(x, views, ctx)
        seen = _Pass(self.path, self.type, views, y.copy())
        self.passes.append(seen)

        def listened(gradient: Array) -> Array:
            seen.gradient = gradient.copy()  # the backward pass may overwrite it
            result: Array = backward(gradient)
            return result

        return y, listened


@dataclass(slots=True)
class _Pass:
    """What went through one layer."""

    path: Path
    type: str
    views: Views
    output: Array
    gradient: Array | None = None

    @property
    def nonfinite_rows(self) -> tuple[int, ...]:
        rows = self.output.reshape(len(self.output), -1)
        return tuple(np.flatnonzero(~np.isfinite(rows).all(axis=1)).tolist())

    def told(self, before: Mapping[int, Array], *, arrays: bool) -> LayerInspection:
        units = self.output.reshape(-1, self.output.shape[-1] if self.output.ndim > 1 else 1)
        return LayerInspection(
            path=self.path,
            type=self.type,
            output=Summary.of(self.output),
            gradient=None if self.gradient is None else Summary.of(self.gradient),
            dead=int((units == 0).all(axis=0).sum()),
            nonfinite_rows=self.nonfinite_rows,
            weights={
                name: _weight(before[id(now)], now, self.views.gradients[name])
                for name, now in self.views.weights.items()
            },
            arrays=dict(self._arrays(before)) if arrays else {},
        )

    def _arrays(self, before: Mapping[int, Array]) -> Mapping[str, Array]:
        own = {f"weights.{name}": before[id(view)] for name, view in self.views.weights.items()}
        slopes = {f"gradients.{name}": view.copy() for name, view in self.views.gradients.items()}
        back = {} if self.gradient is None else {"gradient": self.gradient}
        return {"output": self.output, **back, **own, **slopes}


def _weight(before: Array, now: Array, gradient: Array) -> WeightInspection:
    length = float(np.linalg.norm(before))
    moved = float(np.linalg.norm(now - before))
    return WeightInspection(Summary.of(before), Summary.of(gradient), moved / length if length else None)


def _tapped(layer: Any, path: Path, passes: list[_Pass]) -> Any:
    """The layer with each layer that it holds, however deep, tapped."""
    changed: dict[str, Any] = {}
    for one in fields(layer):
        value, place = getattr(layer, one.name), (*path, one.name)
        if _is_layer(value):
            changed[one.name] = _Tap(_tapped(value, place, passes), place, passes)
        elif isinstance(value, tuple) and value and all(map(_is_layer, value)):
            below = [(_tapped(part, (*place, number), passes), number) for number, part in enumerate(value)]
            changed[one.name] = tuple(_Tap(part, (*place, number), passes) for part, number in below)
    return replace(layer, **changed) if changed else layer


def _is_layer(value: Any) -> bool:
    return hasattr(value, "plan") and hasattr(value, "forward")
