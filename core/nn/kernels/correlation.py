"""Cross-correlation of images with a kernel, the core of a convolution, and the gradient of the kernel.

Images are `(batch, height, width, channels)`, kernels `(height, width, channels, filters)`; a sequence is an image of
height 1. The elements under the window are copied to a row of a matrix of columns (im2col; Chellapilla et al. 2006),
one block of rows at a time so that a block stays in the cache, and the sums are one matrix product per block.

One row of columns can serve several neighbouring outputs, a *tile*: it holds everything that any of them covers, and
the kernel matrix holds one shifted copy of the kernel per output, with zeros around it. That copies less and makes
wide products of few filters.
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

OutputIndex: TypeAlias = tuple[slice, slice, slice]
"""Images, rows and columns of the outputs."""

BLOCK_NUMBERS = 1 << 17
"""Numbers in a block of columns: 512 KiB of float32, which fit a core's own cache."""

MAX_TILE = 32
"""The most outputs in a tile."""


@dataclass(frozen=True)
class Correlation:
    """`out[h, w] = Σ x[h·s + i·d, w·s + j·d] · kernel[i, j]`, with strides s and dilation d; x is already padded.

    With `groups`, each group of channels has its own filters.
    """

    output: Pair
    """Height and width of `out`."""
    kernel: Shape
    """`(height, width, channels per group, filters)`."""
    strides: Pair = (1, 1)
    dilation: Pair = (1, 1)
    groups: int = 1

    @property
    def filters(self) -> int:
        """The number of filters per group."""
        return self.kernel[3] // self.groups

    @cached_property
    def tile(self) -> int:
        """The number of neighbouring outputs that share a row of columns, chosen for the least cost.

        The cost is that of copying and multiplying together: copying a number costs as much as about twenty products,
        and a matrix with fewer than 32 columns costs as much as one with 32.
        """
        if self.dilation[1] > 1:
            return 1
        divisors = (tile for tile in range(1, MAX_TILE + 1) if self.output[1] % tile == 0)
        return min(divisors, key=lambda tile: self._taps(tile) * (20 / tile + max(self.filters, 32 / tile)))

    def _taps(self, tile: int) -> int:
        return (tile - 1) * self.strides[1] + self.kernel[1]

    @cached_property
    def window(self) -> Shape:
        """The shape of what a row of columns holds: `(height, taps, channels per group)`."""
        return (self.kernel[0], self._taps(self.tile), self.kernel[2])

    @cached_property
    def block(self) -> tuple[int, int, int]:
        """The number of images in a block of columns, of rows of each image, and of tiles of each row.

        It holds more than one image only if each is complete, and more than one row only if each is complete, so that
        a block is contiguous.
        """
        fits = max(1, BLOCK_NUMBERS // (size(self.window) + 1))
        tiles = min(self.output[1] // self.tile, fits)
        rows = min(self.output[0], max(1, fits // tiles)) if tiles * self.tile == self.output[1] else 1
        return (max(1, fits // (tiles * rows)) if rows == self.output[0] else 1), rows, tiles

    @property
    def scratch(self) -> int:
        """The most numbers that one pass allocates beside its arguments, for any batch."""
        filters, width = self.tile * self.filters, size(self.window) + 1
        return size(self.block) * (width + filters * (self.groups > 1)) + 2 * width * filters

    def forward(self, x: Array, kernel: Array, bias: Array | None, out: Array, ctx: PassContext) -> None:
        """Write the sums into `out`; the bias is the weight of a constant input of one."""
        blocks = _Blocks(self, len(x), bias is not None, ctx)
        matrix = ctx.empty((blocks.columns.shape[1], self.tile * self.filters))
        for channels, filters in blocks.each_group():
            self._fill_matrix(kernel[..., filters], matrix)
            if bias is not None:
                matrix[-1].reshape(self.tile, -1)[:] = bias[filters]
            for index, columns in blocks.each_block(x[..., channels]):
                sums = np.dot(columns, matrix, out=blocks.matrix(out, index, len(columns)))
                if self.groups > 1:
                    target = out[index][..., filters]
                    np.copyto(target, sums.reshape(target.shape))

    def kernel_gradient(self, x: Array, delta: Array, d_kernel: Array, d_bias: Array | None, ctx: PassContext) -> None:
        """Write `∂kernel[i, j] = Σ x[h·s + i·d, w·s + j·d] · δ[h, w]` and `∂bias = Σ δ`."""
        blocks = _Blocks(self, len(x), d_bias is not None, ctx)
        sums, part = (ctx.empty((blocks.columns.shape[1], self.tile * self.filters)) for _ in range(2))
        for channels, filters in blocks.each_group():
            sums.fill(0)
            for index, columns in blocks.each_block(x[..., channels]):
                rows = blocks.matrix(delta, index, len(columns))
                if self.groups > 1:
                    source = delta[index][..., filters]
                    np.copyto(rows.reshape(source.shape), source)
                np.add(sums, np.dot(columns.T, rows, out=part), out=sums)
            self._sum_copies(sums, d_kernel[..., filters])
            if d_bias is not None:
                np.add.reduce(sums[-1].reshape(self.tile, -1), axis=0, out=d_bias[filters])

    def _kernel_copies(self, matrix: Array) -> Iterator[Array]:
        """Yield the views of the kernel matrix that hold the kernel, one per output of the tile."""
        shifted = matrix[: size(self.window)].reshape(*self.window, self.tile, self.filters)
        for position in range(self.tile):
            start = position * self.strides[1]
            yield shifted[:, start : start + self.kernel[1], :, position]

    def _fill_matrix(self, kernel: Array, matrix: Array) -> None:
        matrix.fill(0)
        for copy in self._kernel_copies(matrix):
            copy[...] = kernel

    def _sum_copies(self, matrix: Array, kernel: Array) -> None:
        first, *others = self._kernel_copies(matrix)
        np.copyto(kernel, first)
        for copy in others:
            kernel += copy

    def windows(self, x: Array) -> Array:
        """Return the view of x that each row of columns covers: `(batch, rows, tiles, *window)`."""
        image_stride, row_stride, column_stride, channel_stride = x.strides
        down, across = self.strides
        return as_strided(
            x,
            (len(x), self.output[0], self.output[1] // self.tile, *self.window),
            (
                image_stride,
                row_stride * down,
                column_stride * across * self.tile,
                row_stride * self.dilation[0],
                column_stride * self.dilation[1],
                channel_stride,
            ),
            writeable=False,
        )


@lru_cache(maxsize=256)
def correlation(output: Pair, kernel: Shape, strides: Pair, dilation: Pair, groups: int) -> Correlation:
    """Return the cached correlation of this geometry: choosing a tile takes longer than summing a small image."""
    return Correlation(output, kernel, strides, dilation, groups)


class _Blocks:
    """The buffers of one pass over a batch, and its order: group by group, block by block."""

    def __init__(self, correlation: Correlation, batch: int, constant: bool, ctx: PassContext) -> None:
        self.correlation, self.batch, self.width = correlation, batch, size(correlation.window)
        self.images, self.rows, self.tiles = correlation.block
        rows = min(self.images, batch) * self.rows * self.tiles
        self.columns: Array = ctx.empty((rows, self.width + constant))
        if constant:
            self.columns[:, -1] = 1
        if correlation.groups > 1:
            self.products = ctx.empty((rows, correlation.tile * correlation.filters))

    def each_group(self) -> Iterator[tuple[slice, slice]]:
        """Yield the channels and the filters of each group."""
        channels, filters = self.correlation.kernel[2], self.correlation.filters
        for group in range(self.correlation.groups):
            yield (
                slice(group * channels, (group + 1) * channels),
                slice(group * filters, (group + 1) * filters),
            )

    def each_block(self, x: Array) -> Iterator[tuple[OutputIndex, Array]]:
        """Yield the outputs that each block covers, and its columns, which the next block overwrites."""
        windows = self.correlation.windows(x)
        tile, (rows, width) = self.correlation.tile, self.correlation.output
        for image, row, start in product(
            range(0, self.batch, self.images), range(0, rows, self.rows), range(0, width // tile, self.tiles)
        ):
            images, down = slice(image, image + self.images), slice(row, row + self.rows)
            covered = windows[images, down, start : start + self.tiles]
            columns = self.columns[: size(covered.shape[:3])]
            np.copyto(columns[:, : self.width].reshape(covered.shape), covered)
            yield (images, down, slice(start * tile, (start + self.tiles) * tile)), columns

    def matrix(self, array: Array, index: OutputIndex, rows: int) -> Array:
        """Return a block of an output array as a matrix: a contiguous view, or a buffer if there are groups."""
        return self.products[:rows] if self.correlation.groups > 1 else array[index].reshape(rows, -1)
