"""Targets that are sequences of labels, as the loss `ctc` learns them."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from core.data.nested_lists import NotNumbers
from core.data.padding import pad_sequences, sequences_from_lists
from core.data.targets.target import ROW_BYTES, not_numbers

LABEL_BYTES = 4
"""Bytes of a label in JSON with its comma."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """A sequence of labels for each row, integers from 1."""

    max_labels: int
    """The most labels of a row."""

    type: Literal["labels"] = "labels"
    """`labels`."""

    def parse(self, values: Sequence[Any], steps: tuple[int, ...] = ()) -> NDArray[np.float64]:
        """Return `(rows, max_labels)`, padded with 0. Raises `InvalidInstance` at the first wrong row."""
        try:
            return pad_sequences(sequences_from_lists([value or [0] for value in values]), self.max_labels, 0.0, "post")
        except NotNumbers as error:
            raise not_numbers(error) from None

    def answer(self, outputs: NDArray[Any]) -> list[dict[str, Any]]:
        """Return the labels of each row of `outputs` `(rows, …)`, without the zeros of padding."""
        return [{"value": row[row != 0].tolist()} for row in outputs]

    def answer_bytes(self, output_shape: tuple[int, ...]) -> int:
        """Return the estimated bytes of the answer for one row as JSON: at most one label for each step."""
        return ROW_BYTES + LABEL_BYTES * math.prod(output_shape[:-1])

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON, stored beside the weights."""
        return asdict(self)

    @classmethod
    def from_json(cls, json: dict[str, Any]) -> Self:
        """Return the target that `to_json` wrote."""
        return cls(**json)
