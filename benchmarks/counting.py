"""Floating-point operations of a training step, counted by traced arrays.

Operations grow linearly with the rows, so the counts of two small batches give that of a large one. Layers contain no
counting code: other steps pay nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from core.nn.arrays import Shape
from core.nn.execution.traced_arrays import trace, untrace
from core.nn.network import Network
from core.nn.step.context import PassContext

SAMPLE_ROWS = 16
"""Rows of the smaller of the two batches from which larger ones are extrapolated."""
MAX_COUNTED_FLOPS = 1 << 28
"""Maximum operations of a batch that is counted directly: a small convolution is not linear in few rows."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Operations of a step on one batch, without its loss and its update.

    An operation is one on a number: a multiplication and an addition are two, an exponential is one; copies,
    comparisons and selections are none.
    """

    parameters: int
    forward_flops: int
    backward_flops: int

    @property
    def flops(self) -> int:
        """Operations of both passes."""
        return self.forward_flops + self.backward_flops


def estimate(network: Network, batch: int) -> Cost:
    """Return the cost of a step of `batch` rows, of a large batch extrapolated from steps of a few rows.

    Allocates the weights and runs those steps.
    """
    few = count(network, min(batch, SAMPLE_ROWS))
    if batch <= SAMPLE_ROWS:
        return few
    if few.flops * batch <= MAX_COUNTED_FLOPS * SAMPLE_ROWS:
        return count(network, batch)
    twice = count(network, 2 * SAMPLE_ROWS)

    def extrapolated(at_one: int, at_two: int) -> int:
        return at_one + (at_two - at_one) * (batch - SAMPLE_ROWS) // SAMPLE_ROWS

    forward = extrapolated(few.forward_flops, twice.forward_flops)
    backward = extrapolated(few.backward_flops, twice.backward_flops)
    return Cost(network.parameters, forward, backward)


def count(network: Network, batch: int) -> Cost:
    """Run a step of `batch` rows and return its cost."""
    rng = np.random.default_rng(0)
    weights, statistics = network.initialize(rng)
    views = network.views(weights, statistics, np.zeros_like(weights))
    counter = FlopCounter()
    ctx = CountingContext(counter, rng=rng, shapes=network.shapes)
    with np.errstate(all="ignore"):
        x = trace(np.zeros((batch, *network.input_shape), np.float32), counter)
        outputs, backward = network.forward(x, views, ctx)
        forward = counter.flops
        backward(trace(np.ones(outputs.shape, np.float32), counter))
    return Cost(network.parameters, forward, counter.flops - forward)


class FlopCounter:
    """A tracer that adds up the operations of traced arrays."""

    flops = 0

    def record(self, function: Callable[..., Any], args: Any, kwargs: Mapping[str, Any], result: Any) -> None:
        """Add the operations of one call."""
        inputs = untrace(args)
        if function in PRODUCTS:
            self.flops += PRODUCTS[function](*inputs[:2])
        elif isinstance(ufunc := getattr(function, "__self__", function), np.ufunc):
            self.flops += _ufunc_flops(ufunc, function.__name__, inputs, result)

    def graph_break(self) -> None:
        """Ignore what costs no operation on a number."""


class CountingContext(PassContext):
    """The context of a training pass whose arrays are traced by a counter."""

    __slots__ = ("_counter",)

    def __init__(self, counter: FlopCounter, *, rng: np.random.Generator, shapes: tuple[Shape, ...] = ()) -> None:
        super().__init__(training=True, rng=rng, shapes=shapes)
        self._counter = counter

    def empty(self, shape: Shape, dtype: DTypeLike | None = None) -> Any:
        """Return a traced array of `shape`."""
        return trace(super().empty(shape, dtype), self._counter)


def _ufunc_flops(ufunc: np.ufunc, method: str, inputs: Any, result: Any) -> int:
    """Count one operation for each float of the result, or for each that a reduction adds up."""
    if ufunc is np.matmul:
        return 2 * int(np.size(result)) * int(inputs[0].shape[-1])
    sizes = {"reduce": 0, "accumulate": 0, "reduceat": 0, "at": 2}
    if method in sizes:
        counted = inputs[sizes[method]] if len(inputs) > sizes[method] else inputs[0]
        return int(np.size(counted)) if _is_float(counted) else 0
    results = result if isinstance(result, tuple) else (result,)
    return sum(int(np.size(one)) for one in results if _is_float(one))


def _is_float(value: Any) -> bool:
    return np.asarray(value).dtype.kind == "f"


def _dot_flops(a: Any, b: Any) -> int:
    return 2 * int(np.size(a)) * (int(b.shape[-1]) if np.ndim(b) > 1 else 1)


PRODUCTS: Mapping[Any, Callable[[Any, Any], int]] = MappingProxyType(
    {np.dot: _dot_flops, np.vdot: lambda a, _: 2 * int(np.size(a)), np.inner: lambda a, _: 2 * int(np.size(a))}
)
"""Products that are no ufuncs, with their operations."""
