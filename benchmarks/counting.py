"""What a step costs, counted: by arrays that are watched, over rows enough to know all others.

Costs grow evenly with the rows, so that two small batches tell of a large one. Layers know nothing of it: a step that
nobody counts pays nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from core.nn.arrays import Shape, size
from core.nn.execution.traced_arrays import plain, watched
from core.nn.network import Network
from core.nn.step.context import Arena, PassContext, fitting

FEW = 16
"""Rows of the smaller of the two batches from which others are told."""
WHOLE = 1 << 28
"""Operations up to which a batch is counted itself: the blocks of columns of a small convolution fill late."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a step takes for a batch, without its loss and its update.

    An operation is one on a number: a multiplication and an addition are two, an exponential is one; to copy, compare
    and choose is none.
    """

    parameters: int
    forward_flops: int
    backward_flops: int
    bytes: int
    """Of weights, gradient and statistics, and of all arrays of the step."""

    @property
    def flops(self) -> int:
        """Of both passes."""
        return self.forward_flops + self.backward_flops


def estimate(network: Network, batch: int) -> Cost:
    """The cost of a step of `batch` rows, of a large one told from steps of a few.

    It allocates the net's weights and takes those steps.
    """
    few, buffers = _counted(network, min(batch, FEW))
    if batch <= FEW:
        return few
    if few.flops * batch <= WHOLE * FEW:
        return count(network, batch)
    more, grown = _counted(network, 2 * FEW)

    def at(least: int, twice: int) -> int:
        return least + (twice - least) * (batch - FEW) // FEW

    forward, backward = at(few.forward_flops, more.forward_flops), at(few.backward_flops, more.backward_flops)
    sizes = [_Buffer(at(one.nbytes, other.nbytes), other.freed) for one, other in zip(buffers, grown, strict=True)]
    vectors = few.bytes - _together(buffers)
    return Cost(network.parameters, forward, backward, vectors + _together(sizes))


def count(network: Network, batch: int) -> Cost:
    """The cost of a step of `batch` rows, which is taken."""
    return _counted(network, batch)[0]


def _counted(network: Network, batch: int) -> tuple[Cost, list[_Buffer]]:
    rng = np.random.default_rng(0)
    weights, statistics = network.initialize(rng)
    views = network.views(weights, statistics, gradient := np.zeros_like(weights))
    arena = _CountingArena()
    run = PassContext(arena, training=True, rng=rng, shapes=network.shapes)
    x = arena.counted(np.zeros((batch, *network.input_shape), np.float32))
    with np.errstate(all="ignore"):
        outputs, backward = network.forward(x, views, run)
        forward = arena.tally.flops
        backward(arena.counted(np.ones(outputs.shape, np.float32)))
    held = weights.nbytes + gradient.nbytes + statistics.nbytes + arena.nbytes
    return Cost(network.parameters, forward, arena.tally.flops - forward, held), arena.asked


class _Tally:
    """Counts what is done with the arrays that it watches."""

    flops = 0

    def saw(self, function: Callable[..., Any], args: Any, named: Mapping[str, Any], result: Any) -> None:
        """Count it."""
        inputs = plain(args)
        if function in PRODUCTS:
            self.flops += PRODUCTS[function](*inputs[:2])
        elif isinstance(ufunc := getattr(function, "__self__", function), np.ufunc):
            self.flops += _of_ufunc(ufunc, function.__name__, inputs, result)

    def missed(self) -> None:
        """It costs no operation on a number."""


class _Buffer(NamedTuple):
    """What a step asks for, and which of the buffers before it nobody refers to any more by then."""

    nbytes: int
    freed: tuple[int, ...]


def _together(buffers: Sequence[_Buffer]) -> int:
    """The bytes that an arena takes for them."""
    lengths: list[int] = []
    places: list[int] = []
    free: dict[int, int] = {}
    for nbytes, freed in buffers:
        free |= {places[number]: lengths[places[number]] for number in freed}
        place = fitting(free, nbytes)
        if place is None:
            place = len(lengths)
            lengths.append(nbytes)
        free.pop(place, None)
        places.append(place)
    return sum(lengths)


class _CountingArena(Arena):
    """Buffers that count what is done with them; each has memory of its own, to see when nobody refers to it."""

    __slots__ = ("asked", "tally", "used")

    def __init__(self) -> None:
        super().__init__()
        self.tally = _Tally()
        self.asked: list[_Buffer] = []
        self.used: list[int] = []

    def counted(self, array: Any) -> Any:
        """The same numbers, counted."""
        return watched(array, self.tally)

    def empty(self, shape: Shape, dtype: Any = None) -> Any:
        """An array of `shape`, counted."""
        kind = np.dtype(dtype or np.float32)
        nbytes = size(shape) * kind.itemsize
        freed = tuple(number for number in self.used if self._is_free(number))
        self.used = [number for number in self.used if number not in freed]
        self.used.append(len(self.asked))
        self.asked.append(_Buffer(nbytes, freed))
        self._memory.append(np.empty(nbytes, np.uint8))
        return self.counted(self._within(self.used[-1], shape, kind))

    @property
    def nbytes(self) -> int:
        """The bytes that an arena takes which does not count."""
        return _together(self.asked)


def _of_ufunc(ufunc: np.ufunc, method: str, inputs: Any, result: Any) -> int:
    """Of floating-point results: a number each, or each that is summed up; of a product of matrices its sums."""
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


def _dot(a: Any, b: Any) -> int:
    return 2 * int(np.size(a)) * (int(b.shape[-1]) if np.ndim(b) > 1 else 1)


PRODUCTS: Mapping[Any, Callable[[Any, Any], int]] = MappingProxyType(
    {np.dot: _dot, np.vdot: lambda a, _: 2 * int(np.size(a)), np.inner: lambda a, _: 2 * int(np.size(a))}
)
"""The products that are no ufuncs, and their operations."""
