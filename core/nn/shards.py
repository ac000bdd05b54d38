"""A batch in shards: several threads take some of its rows each through the layers, there and back.

NumPy lets go of the interpreter while it computes, so threads compute at once. Each has a BLAS of one thread, which
finds what it multiplies in the cache of the core that made it: the columns of a convolution took twice as long to make
where the products between them had two threads. It pays where a layer does much with few weights. Wide dense layers
stay whole, since each shard would hold a gradient as large as theirs; so do layers that are not `divisible`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import AbstractContextManager
from contextvars import copy_context
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Any, TypeVar

import numpy as np
from threadpoolctl import ThreadpoolController

from core.nn.arena import Arena, Run
from core.nn.arrays import Array, Backward, chained, size
from core.nn.draws import DrawsOfRows
from core.nn.layers.composite import Sequential
from core.nn.network import Network
from core.nn.plan import Plan, Views

MANY = 8
"""Operations of a row with each weight of a layer, from which on it does much with few."""
WORTH = 1 << 24
"""Operations of a forward pass that are worth a thread."""

Made = TypeVar("Made")


def threads_worth(network: Network, rows: int, threads: int) -> int:
    """Into how many shards to divide so many rows, at most one a thread; 1: they stay whole."""
    much = sum(_much(plan) for part, divided in _parts(network) if divided for plan in part.every())
    if 2 * much < sum(plan.flops for plan in network.plan.every()):
        return 1
    return max(1, min(threads, rows, rows * much // WORTH))


def shard_bytes(network: Network, rows: int, count: int) -> int:
    """The bytes that a step on so many rows takes beside those of a whole one, in float32."""
    if count == 1:
        return 0
    seams = sum(2 * size(parts[-1].output_shape) for divided, parts in _stretches(network) if divided)
    scratch = sum(plan.scratch for plan in network.plan.every())
    return 4 * (rows * seams + (count - 1) * (network.parameters + scratch))


class Shards:
    """What the shards of one training share, and what each has of its own: an arena, views, and a gradient."""

    def __init__(self, network: Network, weights: Array, statistics: Array, gradient: Array, count: int) -> None:
        self.count = count
        self.gradients = [gradient, *(np.zeros_like(gradient) for _ in range(count - 1))]
        views = [network.views(weights, statistics, each) for each in self.gradients]
        self.draws = [DrawsOfRows() for _ in views]
        self.stretches = list(_cut(network, views))
        self.pool = ThreadPoolExecutor(count - 1, thread_name_prefix="shard")
        self.blas = ThreadpoolController().select(user_api="blas")
        self.runs: dict[Run, list[tuple[Arena, Run]]] = {}

    def one_blas_thread(self) -> AbstractContextManager[Any]:
        """BLAS has one thread as long as the block: for a whole step, as its threads go on spinning for a while."""
        return self.blas.limit(limits=1)

    def forward(self, x: Array, run: Run) -> tuple[Array, Backward]:
        """As `Network.forward`, for at least as many rows as there are shards.

        The gradient of the weights is in the vector that was given when the backward pass is over.
        """
        own = self.runs.get(run) or self.runs.setdefault(run, [_of_a_shard(run, x, draws) for draws in self.draws])
        for arena, _ in own:
            arena.rewind()
        run.mask = None
        chain = []
        for stretch in self.stretches:
            if stretch.divided:
                x, backward = self._divided(stretch, x, run, [shard for _, shard in own])
            else:
                x, backward = stretch.layers.forward(x, stretch.views[0], run)
            chain.append(backward)
        run.weigh()
        return x, chained(chain)

    def _divided(self, stretch: _Stretch, x: Array, run: Run, own: list[Run]) -> tuple[Array, Backward]:
        """Some layers, by all threads at once."""
        edges = [len(x) * shard // len(own) for shard in range(len(own) + 1)]
        rows = [slice(start, end) for start, end in pairwise(edges)]
        if run.rng is not None:
            for (start, end), draws in zip(pairwise(edges), self.draws, strict=True):
                draws.follow(run.rng, start, end - start, len(x) - end)

        def forth(shard: int) -> tuple[Array, Backward]:
            own[shard].mask = None if run.mask is None else run.mask[rows[shard]]
            return stretch.layers.forward(x[rows[shard]], stretch.views[shard], own[shard])

        made = self._each(forth)
        if run.rng is not None:
            self.draws[0].lead(run.rng)
        y = _joined([y for y, _ in made], run)
        masks = [shard.mask for shard in own if shard.mask is not None]
        run.mask = _joined(masks, run) if masks else None

        def backward(d_y: Array) -> Array:
            d_xs = self._each(lambda shard: made[shard][1](d_y[rows[shard]]))
            total, *others = (gradient[stretch.weights] for gradient in self.gradients)
            for other in others:
                total += other
            return _joined(d_xs, run) if stretch.views[0].input_gradient else d_y

        return y, backward

    def _each(self, work: Callable[[int], Made]) -> list[Made]:
        """What comes of each shard; the first is this thread's. All are over when it returns or raises."""
        others = [self.pool.submit(copy_context().run, work, shard) for shard in range(1, self.count)]
        try:
            first = work(0)
        finally:
            wait(others)
        return [first, *(other.result() for other in others)]


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Layers that follow one another, all divided or all whole, and where their weights stand in the flat vector."""

    divided: bool
    layers: Sequential
    views: list[Views]
    """Each shard's."""
    weights: slice


def _cut(network: Network, views: list[Views]) -> Iterator[_Stretch]:
    first = start = 0
    for divided, parts in _stretches(network):
        last, end = first + len(parts), start + sum(part.parameters for part in parts)
        layers = Sequential(layers=network.architecture.layers[first:last])
        yield _Stretch(divided, layers, [_some(each, first, last) for each in views], slice(start, end))
        first, start = last, end


def _stretches(network: Network) -> Iterator[tuple[bool, list[Plan]]]:
    for divided, pairs in groupby(_parts(network), key=lambda pair: pair[1]):
        yield divided, [part for part, _ in pairs]


def _parts(network: Network) -> Iterator[tuple[Plan, bool]]:
    """The plan of each of the network's layers, and whether it can be divided."""
    for part in network.plan.parts:
        yield part, all(plan.divisible for plan in part.every())


def _much(plan: Plan) -> int:
    weights = sum(size(weight.shape) for weight in plan.weights.values())
    return plan.flops if plan.flops >= MANY * weights else 0


def _some(views: Views, first: int, last: int) -> Views:
    """What a stretch sees."""
    parts = views.parts[first:last]
    learns = any(part.learns for part in parts)
    return Views({}, {}, {}, parts, learns, parts[0].input_gradient, trainable=True)


def _of_a_shard(run: Run, x: Array, draws: DrawsOfRows) -> tuple[Arena, Run]:
    arena = Arena(x.dtype)
    return arena, Run(arena, training=run.training, rng=None if run.rng is None else draws)


def _joined(parts: Sequence[Any], run: Run) -> Any:
    """The rows of all shards under one another."""
    whole = run.empty((sum(map(len, parts)), *parts[0].shape[1:]), parts[0].dtype)
    return np.concatenate(parts, out=whole)
