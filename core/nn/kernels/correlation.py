"""The sum of products under a sliding window: what a convolution computes, and both of its gradients.

All arrays are images `(batch, height, width, channels)`, kernels `(height, width, channels, filters)`; a line is an
image of height 1. What lies under the window becomes a row of a matrix ("columns"; Chellapilla et al. 2006), some rows
at a time, so that they stay in the cache, and the sums are one matrix product for each such block.

One row of columns may serve several neighbouring outputs, a *tile*: it holds all that any of them sees, and the matrix
holds the kernel once for each, shifted, with zeros around it. That copies less and makes wide products of few filters.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import product
from typing import TypeAlias

import numpy as np
from numpy.lib.stride_tricks import as_strided

from core.nn.arrays import Array, Shape, size
from core.nn.step.context import PassContext

Pair: TypeAlias = tuple[int, int]
"""A number for the height and one for the width."""

Place: TypeAlias = tuple[slice, slice, slice]
"""Images, rows and columns of the outputs."""

BLOCK = 1 << 17
"""How many numbers of columns are made at a time: 512 KiB of float32, which stay in a core's own cache."""

MOST_TILES = 32


@dataclass(frozen=True)
class Correlation:
    """`out[h, w] = Σ x[h·s + i·d, w·s + j·d] · kernel[i, j]`, with strides s and dilation d; x is padded already.

    With `groups`, each group of channels has filters of its own.
    """

    output: Pair
    """Height and width of `out`."""
    kernel: Shape
    """`(height, width, channels of a group, filters)`."""
    strides: Pair = (1, 1)
    dilation: Pair = (1, 1)
    groups: int = 1

    @property
    def filters(self) -> int:
        """The filters of one group."""
        return self.kernel[3] // self.groups

    @cached_property
    def tile(self) -> int:
        """How many neighbouring outputs share a row of columns: what costs least, copying and multiplying together.

        A number costs as much to copy as some twenty products; fewer than 32 columns of a matrix cost as much as 32.
        """
        if self.dilation[1] > 1:
            return 1
        whole = (tile for tile in range(1, MOST_TILES + 1) if self.output[1] % tile == 0)
        return min(whole, key=lambda tile: self._taps(tile) * (20 / tile + max(self.filters, 32 / tile)))

    def _taps(self, tile: int) -> int:
        return (tile - 1) * self.strides[1] + self.kernel[1]

    @cached_property
    def window(self) -> Shape:
        """What a row of columns holds: `(height, taps, channels of a group)`."""
        return (self.kernel[0], self._taps(self.tile), self.kernel[2])

    @cached_property
    def block(self) -> tuple[int, int, int]:
        """How many images make a block of columns, how many rows of each, how many tiles of each row.

        More than one image only where it is whole, more than one row only where they are: a block is contiguous.
        """
        fits = max(1, BLOCK // (size(self.window) + 1))
        tiles = min(self.output[1] // self.tile, fits)
        rows = min(self.output[0], max(1, fits // tiles)) if tiles * self.tile == self.output[1] else 1
        return (max(1, fits // (tiles * rows)) if rows == self.output[0] else 1), rows, tiles

    @property
    def scratch(self) -> int:
        """How many numbers one pass keeps beside its arguments, whatever the batch, at most."""
        filters, width = self.tile * self.filters, size(self.window) + 1
        return size(self.block) * (width + filters * (self.groups > 1)) + 2 * width * filters

    def forward(self, x: Array, kernel: Array, bias: Array | None, out: Array, ctx: PassContext) -> None:
        """Write the sums into `out`; a bias is the weight of a constant one."""
        work = _Work(self, len(x), bias is not None, ctx)
        matrix = ctx.empty((work.columns.shape[1], self.tile * self.filters))
        for channels, filters in work.each_group():
            self._place(kernel[..., filters], matrix)
            if bias is not None:
                matrix[-1].reshape(self.tile, -1)[:] = bias[filters]
            for where, columns in work.blocks(x[..., channels]):
                sums = np.dot(columns, matrix, out=work.matrix(out, where, len(columns)))
                if self.groups > 1:
                    there = out[where][..., filters]
                    np.copyto(there, sums.reshape(there.shape))

    def kernel_gradient(self, x: Array, delta: Array, d_kernel: Array, d_bias: Array | None, ctx: PassContext) -> None:
        """Write `∂kernel[i, j] = Σ x[h·s + i·d, w·s + j·d] · δ[h, w]` and `∂bias = Σ δ`."""
        work = _Work(self, len(x), d_bias is not None, ctx)
        sums, part = (ctx.empty((work.columns.shape[1], self.tile * self.filters)) for _ in range(2))
        for channels, filters in work.each_group():
            sums.fill(0)
            for where, columns in work.blocks(x[..., channels]):
                slopes = work.matrix(delta, where, len(columns))
                if self.groups > 1:
                    there = delta[where][..., filters]
                    np.copyto(slopes.reshape(there.shape), there)
                np.add(sums, np.dot(columns.T, slopes, out=part), out=sums)
            self._gather(sums, d_kernel[..., filters])
            if d_bias is not None:
                np.add.reduce(sums[-1].reshape(self.tile, -1), axis=0, out=d_bias[filters])

    def _shifted(self, matrix: Array) -> Iterator[Array]:
        """The kernel's places in the matrix, one for each output of the tile."""
        placed = matrix[: size(self.window)].reshape(*self.window, self.tile, self.filters)
        for turn in range(self.tile):
            start = turn * self.strides[1]
            yield placed[:, start : start + self.kernel[1], :, turn]

    def _place(self, kernel: Array, matrix: Array) -> None:
        matrix.fill(0)
        for place in self._shifted(matrix):
            place[...] = kernel

    def _gather(self, matrix: Array, kernel: Array) -> None:
        first, *others = self._shifted(matrix)
        np.copyto(kernel, first)
        for place in others:
            kernel += place

    def windows(self, x: Array) -> Array:
        """What each row of columns sees of x, without a copy: `(batch, rows, tiles, *window)`."""
        image, row, number, channel = x.strides
        down, across = self.strides
        return as_strided(
            x,
            (len(x), self.output[0], self.output[1] // self.tile, *self.window),
            (
                image,
                row * down,
                number * across * self.tile,
                row * self.dilation[0],
                number * self.dilation[1],
                channel,
            ),
            writeable=False,
        )


@lru_cache(maxsize=256)
def correlation(output: Pair, kernel: Shape, strides: Pair, dilation: Pair, groups: int) -> Correlation:
    """The same one for the same geometry: to find the best tile takes longer than the sums of a small image."""
    return Correlation(output, kernel, strides, dilation, groups)


class _Work:
    """The memory of one pass over a batch, and its order: group after group, block after block."""

    def __init__(self, correlation: Correlation, images: int, constant: bool, ctx: PassContext) -> None:
        self.plan, self.batch, self.width = correlation, images, size(correlation.window)
        self.images, self.rows, self.tiles = correlation.block
        rows = min(self.images, images) * self.rows * self.tiles
        self.columns: Array = ctx.empty((rows, self.width + constant))
        if constant:
            self.columns[:, -1] = 1
        if correlation.groups > 1:
            self.products = ctx.empty((rows, correlation.tile * correlation.filters))

    def each_group(self) -> Iterator[tuple[slice, slice]]:
        """The channels and the filters of each group."""
        channels, filters = self.plan.kernel[2], self.plan.filters
        for group in range(self.plan.groups):
            yield (
                slice(group * channels, (group + 1) * channels),
                slice(group * filters, (group + 1) * filters),
            )

    def blocks(self, x: Array) -> Iterator[tuple[Place, Array]]:
        """Where each block of the outputs lies, and its columns; they are overwritten by the next."""
        windows = self.plan.windows(x)
        tile, (rows, width) = self.plan.tile, self.plan.output
        for image, row, start in product(
            range(0, self.batch, self.images), range(0, rows, self.rows), range(0, width // tile, self.tiles)
        ):
            images, down = slice(image, image + self.images), slice(row, row + self.rows)
            seen = windows[images, down, start : start + self.tiles]
            columns = self.columns[: size(seen.shape[:3])]
            np.copyto(columns[:, : self.width].reshape(seen.shape), seen)
            yield (images, down, slice(start * tile, (start + self.tiles) * tile)), columns

    def matrix(self, whole: Array, where: Place, rows: int) -> Array:
        """A block of the outputs as a matrix: a view of `whole`, which is contiguous, or memory for one group of it."""
        return self.products[:rows] if self.plan.groups > 1 else whole[where].reshape(rows, -1)
