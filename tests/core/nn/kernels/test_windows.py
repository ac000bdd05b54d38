"""Sliding windows: number of outputs and padding, as in TensorFlow."""

import pytest

from core.nn.kernels.windows import Padding, window
from core.nn.plan import ShapeMismatch


@pytest.mark.parametrize(
    ("length", "size", "stride", "dilation", "padding", "expected"),
    [
        (7, 3, 1, 1, "valid", (0, 0, 5)),
        (7, 3, 2, 1, "valid", (0, 0, 3)),
        (7, 3, 1, 2, "valid", (0, 0, 3)),
        (7, 4, 1, 1, "same", (1, 2, 7)),
        (8, 3, 2, 1, "same", (0, 1, 4)),
        (2, 1, 3, 1, "same", (0, 0, 1)),
        (7, 3, 1, 2, "causal", (4, 0, 7)),
    ],
)
def test_window_has_the_padding_and_outputs(
    length: int, size: int, stride: int, dilation: int, padding: Padding, expected: tuple[int, int, int]
) -> None:
    found = window("steps", length, size, stride, dilation, padding)
    assert (found.before, found.after, found.output) == expected
    assert found.padded == found.before + length + found.after


@pytest.mark.parametrize(("length", "padding"), [(2, "valid"), (0, "same")])
def test_window_longer_than_the_axis_is_refused(length: int, padding: Padding) -> None:
    with pytest.raises(ShapeMismatch, match=f"gets steps {length} but its window spans 3"):
        window("steps", length, 3, padding=padding)
