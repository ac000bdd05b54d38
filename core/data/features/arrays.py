"""Features of arrays: instances are numbers of one shape, passed to the net unchanged."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from core.data.cells import FLOAT32_MAX
from core.data.errors import InvalidInstance
from core.data.features.features import Encoded, Instances
from core.data.nested_lists import NotNumbers, array_from_lists
from core.data.seen import Seen
from core.json_pointer import pointer
from core.warnings import MAX_WARNINGS, WarningMessage

MAX_RANGES = 64
"""Numbers of an instance up to which each one's range is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrayFeatures:
    """Instances are arrays of numbers of one shape, passed to the net unchanged."""

    shape: tuple[int, ...]
    """The shape of one instance; where it is `(1,)`, a plain number is accepted too."""

    seen: tuple[Seen, ...] = ()
    """The ranges of the numbers of one instance in the training rows, where it is a short list; else none."""

    @classmethod
    def fit(cls, x: NDArray[Any], rows: NDArray[np.int64]) -> Self:
        """Return the features of inputs `(all rows, *shape)`, with the ranges in the given training rows."""
        shape = x.shape[1:]
        if len(shape) != 1 or shape[0] > MAX_RANGES:
            return cls(shape=shape)
        ranges = [Seen.of(column) for column in x[rows].T]
        return cls(shape=shape, seen=tuple(one for one in ranges if one is not None) if all(ranges) else ())

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one row of x."""
        return self.shape

    @property
    def columns(self) -> tuple[str, ...]:
        """None: an instance is an array."""
        return ()

    @property
    def reads_files(self) -> bool:
        """False: instances are numbers."""
        return False

    def encode(self, instances: Instances) -> Encoded:
        """Return the instances as rows of x. Raises `InvalidInstance` at the first that is wrong."""
        if not len(instances):
            return Encoded(np.empty((0, *self.shape), np.float32), [])
        array = instances if isinstance(instances, np.ndarray) else self._array(instances)
        if not self._has_shape(array):
            raise self._wrong(0, (), f"has the shape {array.shape[1:]}")
        outside = np.argwhere(~(np.abs(array) <= FLOAT32_MAX))
        if outside.size:
            index, *path = map(int, outside[0])
            raise self._wrong(index, path, "is not finite or is outside the range of float32")
        x = np.ascontiguousarray(array.reshape(len(array), *self.shape), dtype=np.float32)
        return Encoded(x, self._warnings(x))

    def _warnings(self, x: NDArray[np.float32]) -> list[list[WarningMessage]]:
        """Return the warnings of each instance about numbers far outside the training rows."""
        warnings: list[list[WarningMessage]] = [[] for _ in range(len(x))]
        if not self.seen:
            return warnings
        low, high = np.array([(one.min, one.max) for one in self.seen]).T
        for index, place in np.argwhere((x < low) | (x > high)).tolist():
            if len(warnings[index]) < MAX_WARNINGS and (text := self.seen[place].far_outside(float(x[index, place]))):
                warnings[index].append(WarningMessage("far_outside", pointer(place), text))
        return warnings

    def _has_shape(self, array: NDArray[Any]) -> bool:
        return array.shape[1:] == self.shape or (self.shape == (1,) and array.ndim == 1)

    def _array(self, instances: Sequence[Any]) -> NDArray[np.float64]:
        try:
            array = array_from_lists(instances)
        except NotNumbers:
            return self._one_by_one(instances)
        return array if self._has_shape(array) else self._one_by_one(instances)

    def _one_by_one(self, instances: Sequence[Any]) -> NDArray[np.float64]:
        """Return the array of instances converted one at a time, slower.

        It finds the first wrong instance, and takes plain numbers among lists of one number.
        """
        rows = []
        for index, instance in enumerate(instances):
            try:
                row = array_from_lists([instance])
            except NotNumbers as error:
                raise self._wrong(index, error.path[1:], error.message.partition(": ")[0]) from None
            if not self._has_shape(row):
                found = f"has the shape {row.shape[1:]}" if row.ndim > 1 else "is a single number"
                raise self._wrong(index, (), found)
            rows.append(row.reshape(self.shape))
        return np.stack(rows)

    def _wrong(self, index: int, path: Sequence[int], message: str) -> InvalidInstance:
        required = "a number" if self.shape == (1,) else f"numbers of the shape {self.shape}"
        return InvalidInstance(
            index, pointer("instances", index, *path), f"{message}: give {required} for each instance"
        )

    def transform(self, values: NDArray[Any], rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the chosen rows of an array `(all rows, *shape)` as x."""
        return np.ascontiguousarray(values[rows], dtype=np.float32)

    def schema(self) -> dict[str, Any]:
        """Return the form of an instance: its shape."""
        return {"shape": list(self.shape)}

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON, stored beside the weights."""
        seen = {"seen": [asdict(one) for one in self.seen]} if self.seen else {}
        return {"type": "arrays", "shape": list(self.shape), **seen}

    @classmethod
    def from_json(cls, json: dict[str, Any]) -> Self:
        """Return the features that `to_json` wrote."""
        return cls(shape=tuple(json["shape"]), seen=tuple(Seen(**one) for one in json.get("seen", ())))
