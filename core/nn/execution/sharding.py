"""A batch in shards: several processes take some of its rows each through the layers, there and back.

Each has a BLAS of one thread, which finds what it multiplies in the cache of the core that made it: the columns of a
convolution took twice as long to make where the products between them had two threads. It pays where a layer does much
with few weights. Wide dense layers stay whole, since each shard would hold a gradient as large as theirs; so do layers
that are not `divisible`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import groupby, pairwise
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import ThreadpoolController

from core.nn.arrays import Array, Backward, Mask, Shape, chain_backward, size
from core.nn.execution.processes import CAN_HELP, Laid, ShardProcess, SharedBuffer, in_common
from core.nn.execution.random_streams import Chance, DrawsOfRows
from core.nn.layers.composite import Sequential
from core.nn.network import Network
from core.nn.plan import Plan, Views
from core.nn.step.context import PassContext

MANY = 8
"""Operations of a row with each weight of a layer, from which on it does much with few."""
WORTH = 1 << 24
"""Operations of a forward pass that are worth a process."""


def shards_worth(network: Network, rows: int, threads: int) -> int:
    """Into how many shards to divide so many rows, at most one a thread; 1: they stay whole."""
    much = sum(_much(plan) for part, divided in _parts(network) if divided for plan in part.walk())
    if not CAN_HELP or 2 * much < sum(plan.flops for plan in network.plan.walk()):
        return 1
    return max(1, min(threads, rows, rows * much // WORTH))


def shard_bytes(network: Network, rows: int, count: int) -> int:
    """The bytes that a step on so many rows takes beside those of a whole one, in float32."""
    if count == 1:
        return 0
    divided = [stretch for stretch in _stretches(network) if stretch.divided]
    joined = rows * sum(2 * size(stretch.output_shape) for stretch in divided)
    laid = (rows - rows // count) * sum(size(stretch.input_shape) + size(stretch.output_shape) for stretch in divided)
    scratch = sum(plan.scratch for plan in network.plan.walk())
    return 4 * (joined + laid + (count - 1) * (network.parameters + scratch))


class Shards:
    """What the shards of one training share. This process takes the first of them, a helper each of the others.

    `weights` and `gradient` are `(parameters,)`, the first `in_common`, as the helpers see them change, `statistics`
    `(measured,)`. `count` shards are made, of batches of up to so many `rows`. Raises `MemoryError`.
    """

    def __init__(
        self, network: Network, weights: Array, statistics: Array, gradient: Array, *, count: int, rows: int
    ) -> None:
        self._stretches = stretches = list(_stretches(network))
        self._gradients = [gradient, *(in_common(gradient.shape, gradient.dtype) for _ in range(count - 1))]
        self._own, *others = [_Shard(stretches, network.views(weights, statistics, each)) for each in self._gradients]
        self._seams = [[_Seam(stretch, -(-rows // count)) for _ in others] for stretch in stretches]
        self._blas = ThreadpoolController().select(user_api="blas")
        with self.one_blas_thread():
            own_seams = zip(*self._seams, strict=True)
            self._helpers = [ShardProcess(partial(_help, *each)) for each in zip(others, own_seams, strict=True)]

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._gradients)

    def close(self) -> None:
        """End the helpers."""
        for helper in self._helpers:
            helper.close()

    def one_blas_thread(self) -> AbstractContextManager[Any]:
        """BLAS has one thread as long as the block: for a whole step, as its threads go on spinning for a while."""
        return self._blas.limit(limits=1)

    def forward(self, x: Array, ctx: PassContext) -> tuple[Array, Backward]:
        """As `Network.forward`, for at least as many rows as there are shards; raises as `ShardProcess.answer`.

        The gradient of the weights is in the vector that was given when the backward pass is over.
        """
        ctx.mask = None
        chain = []
        for place, stretch in enumerate(self._stretches):
            if stretch.divided:
                x, backward = self._divided(place, x, ctx)
            else:
                x, backward = stretch.layers.forward(x, self._own.views[place], ctx)
            chain.append(backward)
        ctx.combine_weights()
        return x, chain_backward(chain)

    def _divided(self, place: int, x: Array, ctx: PassContext) -> tuple[Array, Backward]:
        """Some layers, by all processes at once."""
        edges = [len(x) * shard // self.count for shard in range(self.count + 1)]
        first, *others = [slice(start, end) for start, end in pairwise(edges)]
        helpers = list(zip(self._helpers, self._seams[place], others, strict=True))

        def turn(rows: slice) -> _Turn:
            mask = None if ctx.mask is None else ctx.mask[rows]
            chance = None if ctx.rng is None else Chance(ctx.rng.bit_generator.state, rows.start, len(x) - rows.stop)
            return _Turn(place, mask, chance)

        with self._closed_on_error():
            for helper, seam, rows in helpers:
                helper.ask((turn(rows), seam.before.lay(x[rows])))
            made = [self._own.forth(turn(first), x[first])]
            for helper, seam, _ in helpers:
                laid, mask = helper.answer()
                made.append((seam.after.read(laid), mask))
        if ctx.rng is not None:
            self._own.draws.lead(ctx.rng)
        y = _joined([y for y, _ in made], ctx)
        masks = [mask for _, mask in made if mask is not None]
        ctx.mask = _joined(masks, ctx) if masks else None

        def backward(d_y: Array) -> Array:
            with self._closed_on_error():
                for helper, seam, rows in helpers:
                    helper.ask((place, seam.after.lay(d_y[rows])))
                d_xs = [self._own.back(place, d_y[first])]
                answers = [helper.answer() for helper in self._helpers]
            total, *parts = (gradient[self._stretches[place].weights] for gradient in self._gradients)
            for part in parts:
                total += part
            if not self._own.views[place].input_gradient:
                return d_y
            d_xs += [seam.before.read(laid) for (_, seam, _), laid in zip(helpers, answers, strict=True)]
            return _joined(d_xs, ctx)

        return y, backward

    @contextmanager
    def _closed_on_error(self) -> Iterator[None]:
        """After an error in one shard, the others' answers must not be taken for those to later questions."""
        try:
            yield
        except BaseException:
            self.close()
            raise


class _Turn(NamedTuple):
    """What a shard needs to take some rows of a batch forth through a stretch."""

    place: int
    """Which stretch."""
    mask: Mask | None
    """Its rows of the mask that came in."""
    chance: Chance | None
    """None: nothing is drawn."""


class _Shard:
    """What a shard has of its own in the process that takes it: views, memory, chance, and what it goes back by."""

    def __init__(self, stretches: Sequence[_Stretch], views: Views) -> None:
        self.stretches = stretches
        self.views = [_some(views, stretch) for stretch in stretches]
        self.draws = DrawsOfRows()
        self._back: dict[int, Backward] = {}

    def forth(self, turn: _Turn, x: Array) -> tuple[Array, Mask | None]:
        """Its rows of what a stretch emits, and of the mask then."""
        ctx = PassContext(x.dtype, training=True)
        ctx.mask = turn.mask
        if turn.chance is not None:
            self.draws.follow(turn.chance, len(x))
            ctx.rng = self.draws
        stretch = self.stretches[turn.place]
        y, self._back[turn.place] = stretch.layers.forward(x, self.views[turn.place], ctx)
        return y, ctx.mask

    def back(self, place: int, d_y: Array) -> Array:
        """Its rows of the gradient with regard to what the stretch got."""
        return self._back.pop(place)(d_y)


class _Seam:
    """Where a helper finds what it gets of a stretch's ends, and leaves what comes of it."""

    def __init__(self, stretch: _Stretch, rows: int) -> None:
        self.before = SharedBuffer(rows * size(stretch.input_shape))
        """What the stretch gets, and later the gradient with regard to it."""
        self.after = SharedBuffer(rows * size(stretch.output_shape))
        """What it emits, and later the gradient with regard to it."""


def _help(shard: _Shard, seams: Sequence[_Seam], question: tuple[_Turn | int, Laid]) -> Any:
    """What a helper does: forth by a turn, and back through the stretch at a place."""
    turn, laid = question
    if isinstance(turn, _Turn):
        seam = seams[turn.place]
        y, mask = shard.forth(turn, seam.before.read(laid))
        return seam.after.lay(y), mask
    d_x = shard.back(turn, seams[turn].after.read(laid))
    return seams[turn].before.lay(d_x) if shard.views[turn].input_gradient else None


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Layers that follow one another, all divided or all whole."""

    divided: bool
    layers: Sequential
    first: int
    """Which of the network's layers its first is."""
    input_shape: Shape
    output_shape: Shape
    weights: slice
    """Where they stand in the flat vector."""


def _stretches(network: Network) -> Iterator[_Stretch]:
    first = start = 0
    shape = network.input_shape
    for divided, pairs in groupby(_parts(network), key=lambda pair: pair[1]):
        parts = [part for part, _ in pairs]
        last, end = first + len(parts), start + sum(part.parameters for part in parts)
        layers = Sequential(layers=network.architecture.layers[first:last])
        yield _Stretch(divided, layers, first, shape, parts[-1].output_shape, slice(start, end))
        first, start, shape = last, end, parts[-1].output_shape


def _parts(network: Network) -> Iterator[tuple[Plan, bool]]:
    """The plan of each of the network's layers, and whether it can be divided."""
    for part in network.plan.parts:
        yield part, all(plan.divisible for plan in part.walk())


def _much(plan: Plan) -> int:
    weights = sum(size(weight.shape) for weight in plan.weights.values())
    return plan.flops if plan.flops >= MANY * weights else 0


def _some(views: Views, stretch: _Stretch) -> Views:
    """What a stretch sees."""
    parts = views.parts[stretch.first : stretch.first + len(stretch.layers.layers)]
    learns = any(part.learns for part in parts)
    return Views({}, {}, {}, parts, learns, parts[0].input_gradient, trainable=True)


def _joined(parts: Sequence[Any], ctx: PassContext) -> Any:
    """The rows of all shards under one another."""
    whole = ctx.empty((sum(map(len, parts)), *parts[0].shape[1:]), parts[0].dtype)
    return np.concatenate(parts, out=whole)
