"""The interface of a target: what a net learns to predict.

A target is stored beside the weights: it turns a client's values into what a loss compares with, and the net's outputs
into answers. A new target is one file of this folder, one member of `Target` in `core.data.targets`, and one row of
`tests/core/data/targets/cases.py`.
"""

from collections.abc import Sequence
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from core.data.errors import InvalidInstance
from core.data.nested_lists import NotNumbers
from core.json_pointer import pointer

NUMBER_BYTES = 21
"""Bytes of a float32 in JSON, converted to float64, with its comma: `0.12345678955316544,`."""
ROW_BYTES = 32
"""Bytes of a row's braces and keys in JSON."""


class TargetKind(Protocol):
    """Members are frozen dataclasses whose fields are their stored JSON."""

    @property
    def type(self) -> str:
        """The word for the target in JSON."""
        ...

    def parse(self, values: Sequence[Any], steps: tuple[int, ...] = ()) -> NDArray[Any]:
        """Return a client's values as an array, one entry for each row, that a loss compares with.

        `steps` are the axes of the net's output between rows and units. Raises `InvalidInstance` at the first wrong
        value.
        """
        ...

    def answer(self, outputs: NDArray[Any]) -> list[dict[str, Any]]:
        """Return the answer for each row of the net's outputs."""
        ...

    def answer_bytes(self, output_shape: tuple[int, ...]) -> int:
        """Return the estimated bytes of the answer for one row of the net's outputs as JSON."""
        ...

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON, stored beside the weights."""
        ...

    @classmethod
    def from_json(cls, json: dict[str, Any]) -> Self:
        """Return the target that `to_json` wrote."""
        ...


class DataTarget(TargetKind, Protocol):
    """A target as a data source finds it, before a loss is chosen."""

    @property
    def row_bytes(self) -> int:
        """Bytes of one row of y."""
        ...

    def array(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return loaded values, one for each row, as y: C-contiguous, in the type a loss compares with."""
        ...

    def class_ids(self, values: NDArray[Any]) -> NDArray[np.int64] | None:
        """Return the class of each row `(rows,)`, numbered from 0, to stratify by; None where there are no classes."""
        ...


def invalid_target(index: int, message: str, *path: int) -> InvalidInstance:
    """Return the error about the target of the row `index`, at `path` in it."""
    return InvalidInstance(index, pointer("targets", index, *path), message)


def not_numbers(error: NotNumbers) -> InvalidInstance:
    """Return the error about targets that are not numbers."""
    index = error.path[0] if error.path else 0
    return InvalidInstance(index, pointer("targets", *error.path), error.message)


def value_answers(outputs: NDArray[Any]) -> list[dict[str, Any]]:
    """Return `{"value": …}` for each row; JSON has no NaN: it is null there, and `nonfinite` names the first."""
    values = outputs.astype(np.float64)
    if np.isfinite(values).all():
        return [{"value": value} for value in values.tolist()]
    return [_value_answer(np.asarray(value)) for value in values]


def _value_answer(value: NDArray[np.float64]) -> dict[str, Any]:
    wrong = ~np.isfinite(value)
    if not wrong.any():
        return {"value": value.tolist()}
    nullable = value.astype(object)
    nullable[wrong] = None
    return {"value": nullable.tolist(), "nonfinite": str(value[wrong][0])}
