"""Plan of data parallelism: the layers whose batch is divided, the number of shards, and the memory for them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from core.nn.arrays import Shape, size
from core.nn.execution.processes import CAN_FORK
from core.nn.layers.composite import Sequential
from core.nn.network import Network
from core.nn.plan import Plan, Views

MIN_FLOPS_PER_WEIGHT = 8
"""Operations of a row with each weight of a layer from which on dividing the layer pays."""
MIN_FLOPS_PER_SHARD = 1 << 24
"""Operations of a forward pass from which on a process pays."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Consecutive layers, all of them divided over the shards or all of them whole."""

    divided: bool
    layers: Sequential
    first: int
    """The index of its first layer in the network."""
    input_shape: Shape
    output_shape: Shape
    weights: slice
    """The place of its weights in the flat vector."""

    def views(self, views: Views) -> Views:
        """Return the segment's part of the network's views."""
        parts = views.parts[self.first : self.first + len(self.layers.layers)]
        learns = any(part.learns for part in parts)
        return Views({}, {}, {}, parts, learns, parts[0].input_gradient, trainable=True)


def segments(network: Network) -> Iterator[Segment]:
    """Cut the layers of a network into segments, in order."""
    first = start = 0
    shape = network.input_shape
    for divided, pairs in groupby(_divisible_parts(network), key=lambda pair: pair[1]):
        parts = [part for part, _ in pairs]
        last, end = first + len(parts), start + sum(part.parameters for part in parts)
        layers = Sequential(layers=network.architecture.layers[first:last])
        yield Segment(divided, layers, first, shape, parts[-1].output_shape, slice(start, end))
        first, start, shape = last, end, parts[-1].output_shape


def shard_count(network: Network, rows: int, threads: int) -> int:
    """Return into how many shards to divide a batch, at most one for each thread; 1 leaves it whole."""
    flops = sum(
        _divisible_flops(plan) for part, divided in _divisible_parts(network) if divided for plan in part.walk()
    )
    if not CAN_FORK or 2 * flops < sum(plan.flops for plan in network.plan.walk()):
        return 1
    return max(1, min(threads, rows, rows * flops // MIN_FLOPS_PER_SHARD))


def shard_bytes(network: Network, rows: int, count: int) -> int:
    """Return the bytes that a step in shards takes beyond those of a whole one, in float32."""
    if count == 1:
        return 0
    divided = [segment for segment in segments(network) if segment.divided]
    joined = rows * sum(2 * size(segment.output_shape) for segment in divided)
    buffers = (rows - rows // count) * sum(
        size(segment.input_shape) + size(segment.output_shape) for segment in divided
    )
    scratch = sum(plan.scratch for plan in network.plan.walk())
    return 4 * (joined + buffers + (count - 1) * (network.parameters + scratch))


def _divisible_parts(network: Network) -> Iterator[tuple[Plan, bool]]:
    """Yield the plan of each layer of the network, and whether it can be divided."""
    for part in network.plan.parts:
        yield part, all(plan.divisible for plan in part.walk())


def _divisible_flops(plan: Plan) -> int:
    weights = sum(size(weight.shape) for weight in plan.weights.values())
    return plan.flops if plan.flops >= MIN_FLOPS_PER_WEIGHT * weights else 0
