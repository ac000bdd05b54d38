"""Cross-correlation in blocks and tiles equals its definition."""

from itertools import product
from typing import Any

import numpy as np
import pytest

from core.nn.arrays import Array
from core.nn.kernels.correlation import Correlation
from core.nn.step.context import inference

GEOMETRIES = [
    Correlation(output=(3, 4), kernel=(2, 3, 2, 4)),
    Correlation(output=(3, 4), kernel=(2, 3, 2, 4), strides=(2, 3)),
    Correlation(output=(3, 4), kernel=(2, 2, 2, 4), dilation=(2, 3)),
    Correlation(output=(1, 8), kernel=(1, 3, 1, 6), strides=(1, 2)),
    Correlation(output=(3, 4), kernel=(2, 2, 1, 4), groups=2),
]


def input_shape(geometry: Correlation) -> tuple[int, int, int]:
    """Return height, width and channels of the smallest image with these outputs."""
    height, width = (
        (outputs - 1) * stride + (size - 1) * dilation + 1
        for outputs, stride, size, dilation in zip(
            geometry.output, geometry.strides, geometry.kernel, geometry.dilation, strict=False
        )
    )
    return height, width, geometry.kernel[2] * geometry.groups


def covered(geometry: Correlation, h: int, w: int, i: int, j: int) -> tuple[int, int]:
    """Return the pixel under the kernel element (i, j) at the output (h, w)."""
    return h * geometry.strides[0] + i * geometry.dilation[0], w * geometry.strides[1] + j * geometry.dilation[1]


def by_definition(geometry: Correlation, x: Array, kernel: Array, bias: Array) -> Array:
    """Return the sums, element by element."""
    height, width, channels, filters = geometry.kernel
    out: Array = np.zeros((len(x), *geometry.output, filters)) + bias
    for h, w, i, j in product(*map(range, (*geometry.output, height, width))):
        row, column = covered(geometry, h, w, i, j)
        for group in range(geometry.groups):
            f = slice(group * geometry.filters, (group + 1) * geometry.filters)
            c = slice(group * channels, (group + 1) * channels)
            out[:, h, w, f] += x[:, row, column, c] @ kernel[i, j, :, f]
    return out


@pytest.mark.parametrize("block", [1, 40, 1 << 17])
@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_correlation_in_blocks_equals_its_definition(
    monkeypatch: pytest.MonkeyPatch, geometry: Correlation, block: int
) -> None:
    monkeypatch.setattr("core.nn.kernels.correlation.BLOCK_NUMBERS", block)
    geometry = Correlation(geometry.output, geometry.kernel, geometry.strides, geometry.dilation, geometry.groups)
    rng = np.random.default_rng(0)
    x, kernel = rng.standard_normal((3, *input_shape(geometry))), rng.standard_normal(geometry.kernel)
    bias = rng.standard_normal(geometry.kernel[3])
    out: Array = np.empty((3, *geometry.output, geometry.kernel[3]))
    geometry.forward(x, kernel, bias, out, inference(np.float64))
    np.testing.assert_allclose(out, by_definition(geometry, x, kernel, bias), atol=1e-12)

    delta = rng.standard_normal(out.shape)
    d_kernel: Array = np.empty(kernel.shape)
    d_bias: Array = np.empty(bias.shape)
    geometry.kernel_gradient(x, delta, d_kernel, d_bias, inference(np.float64))
    np.testing.assert_allclose(d_bias, delta.sum(axis=(0, 1, 2)), atol=1e-12)
    direction: Any = rng.standard_normal(kernel.shape)
    along = by_definition(geometry, x, direction, np.zeros_like(bias))  # linear in the kernel
    np.testing.assert_allclose((d_kernel * direction).sum(), (delta * along).sum(), rtol=1e-10)
