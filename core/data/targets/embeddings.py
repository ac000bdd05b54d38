"""Targets of losses that compare rows: a vector for each row, close to those of its class."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from core.data.targets.classes import class_name
from core.data.targets.target import NUMBER_BYTES, ROW_BYTES, invalid_target, value_answers


@dataclass(frozen=True, slots=True, kw_only=True)
class Embeddings:
    """A vector for each row, close to those of other rows of its class."""

    size: int
    """Numbers of one vector."""

    type: Literal["embeddings"] = "embeddings"
    """`embeddings`."""

    def parse(self, values: Sequence[Any], steps: tuple[int, ...] = ()) -> NDArray[np.int64]:
        """Return an id for each row `(rows,)`, the same for rows of the same class.

        Raises `InvalidInstance` for lists and objects.
        """
        wrong = next((index for index, value in enumerate(values) if isinstance(value, list | dict)), None)
        if wrong is not None:
            raise invalid_target(wrong, "is a list or an object: give the class of the row, a name or an integer")
        return np.unique([class_name(value) for value in values], return_inverse=True)[1].astype(np.int64)

    def answer(self, outputs: NDArray[Any]) -> list[dict[str, Any]]:
        """Return the vector for each row of `outputs` (rows, size)."""
        return value_answers(outputs)

    def answer_bytes(self, output_shape: tuple[int, ...]) -> int:
        """Return the estimated bytes of the answer for one row as JSON."""
        return ROW_BYTES + NUMBER_BYTES * self.size

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON, stored beside the weights."""
        return asdict(self)

    @classmethod
    def from_json(cls, json: dict[str, Any]) -> Self:
        """Return the target that `to_json` wrote."""
        return cls(**json)
