"""Arrays that a source makes from the spec alone."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.data.features import Features
from core.data.features.arrays import ArrayFeatures
from core.data.sources.source import LoadedData, SourceSignature, count_classes
from core.data.targets import SourceTarget


class Arrays(NamedTuple):
    """Inputs x (rows, *shape), and targets y: numbers (rows, *shape) or class ids (rows,)."""

    x: NDArray[Any]
    y: NDArray[Any]
    target: SourceTarget
    weights: NDArray[np.float32] | None = None
    """Weight of each row in the loss (rows,); None: all equal."""

    def signature(self) -> SourceSignature:
        """Return the number of rows and their shapes."""
        ids = self.target.class_ids(self.y)
        counts = None if ids is None else count_classes(ids)
        return SourceSignature(len(self.x), self.x.shape[1:], self.target, counts, target_scale=self._scale())

    def _scale(self) -> tuple[float, float] | None:
        if self.y.dtype.kind != "f":
            return None
        mean, std = float(self.y.mean()), float(self.y.std())
        return (mean, std) if std else None

    def load(self) -> LoadedData:
        """Return the rows."""
        return self.load_with(partial(ArrayFeatures.fit, self.x))

    def load_with(
        self, fit: Callable[[NDArray[np.int64]], Features], lengths: NDArray[np.int64] | None = None
    ) -> LoadedData:
        """Return the rows, with the features that `fit` makes of the training rows."""
        y, ids = self.target.array(self.y), self.target.class_ids(self.y)
        return LoadedData(self.x, fit, self.target, y, ids, self.weights, lengths)
