"""Batches of sequences of similar lengths, cut to the longest, so that little work goes into what only fills up.

A batch is cut to one of a few widths and not to its longest row, so that a replay is recorded for each.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.nn.network import Network
from core.nn.plan import ShapeMismatch

WIDTHS = 4
"""Into how many equal parts the longest width is divided."""
WINDOW = 50
"""Batches that are sorted together: the more, the more alike the rows of one, and the less chance which these are."""

Rows = NDArray[np.int64]


def widths(steps: int) -> list[int]:
    """Return the numbers of steps to which batches of `steps` steps are cut, the whole included."""
    return sorted({-(-steps * part // WIDTHS) for part in range(1, WIDTHS + 1)})


def shorter(network: Network) -> Iterator[Network]:
    """Return the network for rows of each width. Raises `ShapeMismatch` if it needs the planned steps."""
    steps, *rest = network.input_shape
    for width in widths(steps):
        try:
            cut = Network(network.architecture, (width, *rest))
        except ShapeMismatch as error:
            raise ShapeMismatch(f"cannot do with {width} steps instead of {steps}: {error.message}") from None
        if cut.shapes != network.shapes or cut.output_shape not in _outputs(network, width):
            raise ShapeMismatch(
                f"has other weights or outputs for {width} steps than for {steps}: let it take any number"
            )
        yield cut


def _outputs(network: Network, width: int) -> list[tuple[int, ...]]:
    return [network.output_shape, (width, *network.output_shape[1:])]


class Buckets:
    """Which rows come together, and how far their batch is cut.

    Parameters
    ----------
    network
        Planned for whole rows `(steps, …)`; it can do with fewer, as `shorter` says.
    lengths
        How many steps each row has, `(rows,)`; what fills up comes after them.
    labels
        Whether the targets are labels of whole sequences, though the network emits steps.
    """

    def __init__(self, network: Network, lengths: Rows, *, labels: bool = False) -> None:
        self._lengths = lengths
        self._widths = np.array(widths(network.input_shape[0]))
        self._each_step = not labels and next(shorter(network)).output_shape != network.output_shape

    def order(self, order: Rows, batch: int, rng: np.random.Generator) -> Rows:
        """Return the shuffled rows, sorted by length within windows; then all whole batches, shuffled."""
        size = WINDOW * batch
        windows = [order[start : start + size] for start in range(0, len(order), size)]
        near = np.concatenate([window[np.argsort(self._lengths[window], kind="stable")] for window in windows])
        whole = len(near) // batch
        batches = near[: whole * batch].reshape(whole, batch)[rng.permutation(whole)]
        return np.concatenate([batches.ravel(), near[whole * batch :]])

    def width(self, turn: Any) -> int:
        """To how many steps a batch of these rows is cut."""
        longest = self._lengths[turn].max()
        return int(self._widths[np.searchsorted(self._widths, longest)])

    def cut(self, x: Any, targets: Any, width: int, empty: Any) -> tuple[Any, Any]:
        """Both, cut to so many steps, in arrays from `empty`; targets of whole rows stay as they are."""
        return _cut(x, width, empty), _cut(targets, width, empty) if self._each_step else targets


def _cut(whole: Any, width: int, empty: Any) -> Any:
    array = empty((len(whole), width, *whole.shape[2:]), whole.dtype)
    np.copyto(array, whole[:, :width])
    return array
