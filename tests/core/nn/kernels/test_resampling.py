"""Fill modes of resampling: the pixel read beyond the border equals NumPy's padding."""

from typing import Any

import numpy as np
import pytest

from core.nn.kernels.resampling import FILL_MODES, bilinear
from core.nn.step.context import inference

NUMPY_MODES: dict[str, Any] = {"constant": "constant", "nearest": "edge", "reflect": "symmetric", "wrap": "wrap"}


@pytest.mark.parametrize("mode", FILL_MODES)
def test_pixels_beyond_the_border_equal_numpys_padding(mode: Any) -> None:
    x = np.random.default_rng(0).standard_normal((2, 3, 4, 1))
    rows, columns = np.arange(-4.0, 8)[:3, None], np.arange(-6.0, 10)
    padded = np.pad(x, ((0, 0), (4, 5), (6, 6), (0, 0)), mode=NUMPY_MODES[mode])
    for start in range(0, 12, 4):
        y, _ = bilinear(
            x,
            np.broadcast_to(rows, (2, 3, 1)),
            np.broadcast_to(columns[start : start + 4], (2, 1, 4)),
            mode,
            0.0,
            inference(np.float64),
            input_gradient=False,
        )
        np.testing.assert_allclose(y, padded[:, :3, start : start + 4])
