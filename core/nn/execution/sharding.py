"""A batch in shards: several processes compute the forward and backward pass of some of its rows each.

Each process has a BLAS of one thread, which finds its operands in the cache of the core that made them: the columns of
a convolution took twice as long to make where the products between them used two threads. Sharding pays where a layer
does many operations with few weights. Wide dense layers stay whole, since each shard would hold a gradient as large as
theirs; so do layers that are not `divisible`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import ThreadpoolController

from core.nn.arrays import Array, Backward, Mask, chain_backward, size
from core.nn.execution.processes import ArrayHeader, ShardProcess, SharedBuffer, shared_zeros
from core.nn.execution.random_streams import ShardGenerator, StreamPosition
from core.nn.execution.segments import Segment, segments
from core.nn.network import Network
from core.nn.plan import Views
from core.nn.step.context import PassContext


class Shards:
    """The shards of one training: this process computes the first, and a forked process each of the others.

    `weights` and `gradient` are `(parameters,)`, `statistics` `(statistics_size,)`; the weights lie in shared memory,
    so that the other processes see them change. There are `count` shards of batches of up to so many `rows`. Raises
    `MemoryError`.
    """

    def __init__(
        self, network: Network, weights: Array, statistics: Array, gradient: Array, *, count: int, rows: int
    ) -> None:
        self._segments = list(segments(network))
        self._gradients = [gradient, *(shared_zeros(gradient.shape, gradient.dtype) for _ in range(count - 1))]
        self._own, *others = [
            Shard(self._segments, network.views(weights, statistics, each)) for each in self._gradients
        ]
        self._buffers = [[_Buffers(segment, -(-rows // count)) for _ in others] for segment in self._segments]
        self._blas = ThreadpoolController().select(user_api="blas")
        with self.one_blas_thread():
            pairs = zip(others, zip(*self._buffers, strict=True), strict=True)
            self._processes = [ShardProcess(partial(_compute, shard, buffers)) for shard, buffers in pairs]

    @property
    def count(self) -> int:
        """The number of shards."""
        return len(self._gradients)

    def close(self) -> None:
        """End the processes."""
        for process in self._processes:
            process.close()

    def one_blas_thread(self) -> AbstractContextManager[Any]:
        """Limit BLAS to one thread: for a whole step, as its threads keep spinning for a while after a product."""
        return self._blas.limit(limits=1)

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """Compute what `Network.forward` does, for at least as many rows as there are shards.

        The shards have views of their own; the gradient is in the vector given at the start once the backward pass is
        over. Raises as `ShardProcess.receive`.
        """
        ctx.mask = None
        steps = []
        for index, segment in enumerate(self._segments):
            if segment.divided:
                x, backward = self._divided_forward(index, x, ctx)
            else:
                x, backward = segment.layers.forward(x, self._own.views[index], ctx)
            steps.append(backward)
        ctx.combine_weights()
        return x, chain_backward(steps)

    def _divided_forward(self, index: int, x: Array, ctx: PassContext) -> tuple[Array, Backward]:
        """Compute one segment in all processes at once."""
        edges = [len(x) * shard // self.count for shard in range(self.count + 1)]
        first, *others = [slice(start, end) for start, end in pairwise(edges)]
        processes = list(zip(self._processes, self._buffers[index], others, strict=True))

        def task(rows: slice) -> _ForwardTask:
            mask = None if ctx.mask is None else ctx.mask[rows]
            position = None
            if ctx.rng is not None:
                position = StreamPosition(ctx.rng.bit_generator.state, rows.start, len(x) - rows.stop)
            return _ForwardTask(index, mask, position)

        with self._closed_on_error():
            for process, buffers, rows in processes:
                process.send((task(rows), buffers.input.write(x[rows])))
            results = [self._own.forward(task(first), x[first])]
            for process, buffers, _ in processes:
                header, mask = process.receive()
                results.append((buffers.output.read(header), mask))
        if ctx.rng is not None:
            self._own.rng.advance(ctx.rng)
        y = _concatenate([y for y, _ in results], ctx)
        masks = [mask for _, mask in results if mask is not None]
        ctx.mask = _concatenate(masks, ctx) if masks else None

        def backward(d_y: Array) -> Array:
            with self._closed_on_error():
                for process, buffers, rows in processes:
                    process.send((index, buffers.output.write(d_y[rows])))
                d_xs = [self._own.backward(index, d_y[first])]
                headers = [process.receive() for process in self._processes]
            self._add_gradients(self._segments[index].weights)
            if not self._own.views[index].input_gradient:
                return d_y
            d_xs += [buffers.input.read(header) for (_, buffers, _), header in zip(processes, headers, strict=True)]
            return _concatenate(d_xs, ctx)

        return y, backward

    def _add_gradients(self, weights: slice) -> None:
        """Add the gradients of the other shards to that of the first."""
        total, *parts = (gradient[weights] for gradient in self._gradients)
        for part in parts:
            total += part

    @contextmanager
    def _closed_on_error(self) -> Iterator[None]:
        """End the processes on an error in one shard, so that no later request receives their answers to this one."""
        try:
            yield
        except BaseException:
            self.close()
            raise


class _ForwardTask(NamedTuple):
    """Input of a shard's forward pass through a segment."""

    segment: int
    """The index of the segment."""
    mask: Mask | None
    """The shard's rows of the mask."""
    position: StreamPosition | None
    """Where its random numbers begin; None: it draws none."""


class Shard:
    """The state of a shard in the process that computes it: views, random generator, and pending backward passes."""

    def __init__(self, parts: Sequence[Segment], views: Views) -> None:
        self.segments = parts
        self.views = [segment.views(views) for segment in parts]
        self.rng = ShardGenerator()
        self._backwards: dict[int, Backward] = {}

    def forward(self, task: _ForwardTask, x: Array) -> tuple[Array, Mask | None]:
        """Return the shard's rows of a segment's output, and of the mask after it."""
        ctx = PassContext(x.dtype, training=True)
        ctx.mask = task.mask
        if task.position is not None:
            self.rng.start_at(task.position, len(x))
            ctx.rng = self.rng
        segment = self.segments[task.segment]
        y, self._backwards[task.segment] = segment.layers.forward(x, self.views[task.segment], ctx)
        return y, ctx.mask

    def backward(self, index: int, d_y: Array) -> Array:
        """Return the shard's rows of the gradient with regard to the segment's input."""
        return self._backwards.pop(index)(d_y)


class _Buffers:
    """Shared memory between this process and another, for both ends of a segment."""

    def __init__(self, segment: Segment, rows: int) -> None:
        self.input = SharedBuffer(rows * size(segment.input_shape))
        """The input of the segment, later the gradient with regard to it."""
        self.output = SharedBuffer(rows * size(segment.output_shape))
        """The output of the segment, later the gradient with regard to it."""


def _compute(shard: Shard, buffers: Sequence[_Buffers], request: tuple[_ForwardTask | int, ArrayHeader]) -> Any:
    """Answer a request: the forward pass of a task, or the backward pass of the segment with an index."""
    task, header = request
    if isinstance(task, _ForwardTask):
        own = buffers[task.segment]
        y, mask = shard.forward(task, own.input.read(header))
        return own.output.write(y), mask
    d_x = shard.backward(task, buffers[task].output.read(header))
    return buffers[task].input.write(d_x) if shard.views[task].input_gradient else None


def _concatenate(parts: Sequence[Any], ctx: PassContext) -> Any:
    """Return the rows of all shards in one array."""
    whole = ctx.empty((sum(map(len, parts)), *parts[0].shape[1:]), parts[0].dtype)
    return np.concatenate(parts, out=whole)
