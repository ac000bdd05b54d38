"""Features of sequences: instances have different numbers of steps, and are padded to one number."""

from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from core.data.errors import InvalidInstance
from core.data.features.features import Encoded, Instances
from core.data.nested_lists import NotNumbers
from core.data.padding import pad_sequences, sequences_from_lists
from core.json_pointer import pointer


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceFeatures:
    """Instances are sequences of up to a number of steps, and are padded to it."""

    shape: tuple[int, ...]
    """(steps, …): the most steps of an instance, and the shape of each."""

    value: float
    """The padding value."""

    side: Literal["post", "pre"]
    """Whether padding is after the steps or before them."""

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
        rows = instances.tolist() if isinstance(instances, np.ndarray) else instances
        if not len(rows):
            return Encoded(np.empty((0, *self.shape), np.float32), [])
        try:
            x = self._padded(sequences_from_lists(rows))
        except NotNumbers as error:
            index = error.path[0] if error.path else 0
            raise InvalidInstance(index, pointer("instances", *error.path), error.message) from None
        return Encoded(np.ascontiguousarray(x, dtype=np.float32), [[] for _ in rows])

    def _padded(self, rows: list[NDArray[np.float64]]) -> NDArray[np.float64]:
        for index, row in enumerate(rows):
            if row.shape[1:] != self.shape[1:]:
                message = f"has steps of the shape {row.shape[1:]}: give steps of the shape {self.shape[1:]}"
                raise NotNumbers((index,), message)
        return pad_sequences(rows, self.shape[0], self.value, self.side)

    def transform(self, values: NDArray[Any], rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the chosen rows of an array `(all rows, *shape)`, padded before, as x."""
        return np.ascontiguousarray(values[rows], dtype=np.float32)

    def schema(self) -> dict[str, Any]:
        """Return the form of an instance: its shape, with null for its steps, and the maximum number of steps."""
        return {"shape": [None, *self.shape[1:]], "max_steps": self.shape[0]}

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON, stored beside the weights."""
        return {"type": "sequences", "shape": list(self.shape), "value": self.value, "side": self.side}

    @classmethod
    def from_json(cls, json: dict[str, Any]) -> Self:
        """Return the features that `to_json` wrote."""
        return cls(shape=tuple(json["shape"]), value=json["value"], side=json["side"])
