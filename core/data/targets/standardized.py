"""Targets that are numbers, standardized: a net learns (value − mean) / standard deviation of the training rows."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from core.data.encoders.encoder import with_tuples
from core.data.encoders.numbers import mean_and_std
from core.data.targets.numbers import Numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class Standardized:
    """Numbers in their own unit, which a net learns with mean 0 and standard deviation 1."""

    shape: tuple[int, ...]
    """The shape of one row's target; `(1,)` for a single number."""

    mean: tuple[float, ...]
    """Subtracted from each number, one for each place of the last axis."""

    std: tuple[float, ...]
    """Divides each number, likewise; 1 where all are equal."""

    type: Literal["standardized"] = "standardized"
    """`standardized`."""

    @classmethod
    def fit(cls, y: NDArray[np.float64], rows: NDArray[np.int64]) -> Self:
        """Return the target for numbers `(rows, *shape)`, fitted to the given training rows."""
        places = y[rows].reshape(-1, y.shape[-1]).T
        mean, std = zip(*map(mean_and_std, places), strict=True)
        return cls(shape=y.shape[1:], mean=mean, std=std)

    def array(self, values: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return numbers in their own unit as y, in the scale of the net."""
        return np.ascontiguousarray((values - np.array(self.mean)) / np.array(self.std), dtype=np.float32)

    def in_own_unit(self, outputs: NDArray[Any]) -> NDArray[np.float64]:
        """Return outputs of the net, or y, in the unit of the target."""
        numbers: NDArray[np.float64] = outputs.astype(np.float64) * np.array(self.std) + np.array(self.mean)
        return numbers

    @property
    def _numbers(self) -> Numbers:
        """The same numbers in their own unit."""
        return Numbers(shape=self.shape, integers=False, min=-math.inf, max=math.inf, distinct=None)

    def parse(self, values: Sequence[Any], steps: tuple[int, ...] = ()) -> NDArray[np.float32]:
        """Return `(rows, *shape)` in the scale of the net. Raises `InvalidInstance` as `Numbers` does."""
        return self.array(self._numbers.parse(values, steps).astype(np.float64))

    def answer(self, outputs: NDArray[Any]) -> list[dict[str, Any]]:
        """Return the value for each row of `outputs` (rows, *shape) in its own unit: a number for `(1,)`."""
        return self._numbers.answer(self.in_own_unit(outputs))

    def answer_bytes(self, output_shape: tuple[int, ...]) -> int:
        """Return the estimated bytes of the answer for one row as JSON."""
        return self._numbers.answer_bytes(output_shape)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON, stored beside the weights."""
        return asdict(self)

    @classmethod
    def from_json(cls, json: dict[str, Any]) -> Self:
        """Return the target that `to_json` wrote."""
        return cls(**with_tuples(json))
