"""Bucketing: batches of sequences of similar lengths, cut to few steps, so that little computation is padding.

A batch is cut to one of a few widths instead of the length of its longest row, so that a replay serves each width.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.nn.network import Network
from core.nn.plan import ShapeMismatch

NUM_WIDTHS = 4
"""Number of widths, each a multiple of the same part of the longest."""
WINDOW_BATCHES = 50
"""Batches whose rows are sorted together: more make the rows of a batch more alike, and less random."""

Rows = NDArray[np.int64]
"""Row numbers or lengths, `(rows,)`."""


def widths(steps: int) -> list[int]:
    """Return the numbers of steps to which batches of `steps` steps are cut, in ascending order up to `steps`."""
    return sorted({-(-steps * part // NUM_WIDTHS) for part in range(1, NUM_WIDTHS + 1)})


def cut_networks(network: Network) -> Iterator[Network]:
    """Yield the network planned for each width.

    Raises
    ------
    ShapeMismatch
        The network needs the planned number of steps.
    """
    steps, *rest = network.input_shape
    for width in widths(steps):
        try:
            cut = Network(network.architecture, (width, *rest))
        except ShapeMismatch as error:
            raise ShapeMismatch(f"does not accept {width} steps instead of {steps}: {error.message}") from None
        if cut.shapes != network.shapes or cut.output_shape not in _outputs(network, width):
            raise ShapeMismatch(
                f"has other weights or outputs for {width} steps than for {steps}: use layers for any number of steps"
            )
        yield cut


def _outputs(network: Network, width: int) -> list[tuple[int, ...]]:
    return [network.output_shape, (width, *network.output_shape[1:])]


class Buckets:
    """Order of rows by length, and the widths of their batches.

    Parameters
    ----------
    network
        The network, planned for uncut rows `(steps, …)`. It must accept fewer steps (see `cut_networks`).
    lengths
        Steps of each row before its padding, `(rows,)`.
    labels
        Whether the targets are labels of sequences, which are not cut even if the network emits steps.
    """

    def __init__(self, network: Network, lengths: Rows, *, labels: bool = False) -> None:
        self._lengths = lengths
        self._widths = np.array(widths(network.input_shape[0]))
        self._each_step = not labels and next(cut_networks(network)).output_shape != network.output_shape

    def order(self, order: Rows, batch_size: int, rng: np.random.Generator) -> Rows:
        """Return the shuffled rows sorted by length within windows, and their batches shuffled.

        A last batch of fewer rows stays last.
        """
        size = WINDOW_BATCHES * batch_size
        windows = [order[start : start + size] for start in range(0, len(order), size)]
        by_length = np.concatenate([window[np.argsort(self._lengths[window], kind="stable")] for window in windows])
        count = len(by_length) // batch_size
        batches = by_length[: count * batch_size].reshape(count, batch_size)[rng.permutation(count)]
        return np.concatenate([batches.ravel(), by_length[count * batch_size :]])

    def width(self, rows: Any) -> int:
        """Return the number of steps to which a batch of these rows is cut."""
        longest = self._lengths[rows].max()
        return int(self._widths[np.searchsorted(self._widths, longest)])

    def cut(self, x: Any, targets: Any, width: int, empty: Callable[..., Any]) -> tuple[Any, Any]:
        """Return inputs `(batch, steps, …)` and targets cut to `width` steps, in arrays that `empty` allocates.

        Targets of sequences are returned uncut.
        """
        return _cut(x, width, empty), _cut(targets, width, empty) if self._each_step else targets


def _cut(rows: Any, width: int, empty: Callable[..., Any]) -> Any:
    array = empty((len(rows), width, *rows.shape[2:]), rows.dtype)
    np.copyto(array, rows[:, :width])
    return array
