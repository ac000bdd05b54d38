"""Targets that are numbers: one for each row, or an array of them."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from core.data.nested_lists import NotNumbers, array_from_lists
from core.data.targets.target import NUMBER_BYTES, ROW_BYTES, invalid_target, not_numbers, value_answers


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """One number for each row, or an array of them."""

    shape: tuple[int, ...]
    """The shape of one row's target; `(1,)` for a single number."""

    integers: bool
    """Whether every number is an integer, as class ids are."""

    min: float
    """The smallest number."""

    max: float
    """The largest number."""

    distinct: int | None
    """How many different numbers; null where they were too many to count."""

    padded: bool = False
    """Whether rows had different numbers of targets, and the shorter are padded with 0."""

    type: Literal["numbers"] = "numbers"
    """`numbers`."""

    @classmethod
    def from_values(cls, y: NDArray[Any], *, padded: bool = False) -> Self:
        """Return the target of an array `(rows, *shape)`, or `(rows,)` for one number each."""
        integers = bool((y == np.rint(y)).all())
        return cls(
            shape=tuple(y.shape[1:]) or (1,),
            integers=integers,
            min=float(y.min()),
            max=float(y.max()),
            distinct=len(np.unique(y)) if integers else None,
            padded=padded,
        )

    @property
    def row_bytes(self) -> int:
        """Bytes of one row of y: float32."""
        return 4 * math.prod(self.shape)

    def array(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """Return loaded numbers as y `(rows, *shape)`."""
        return np.ascontiguousarray(values.reshape(len(values), *self.shape), dtype=np.float32)

    def class_ids(self, values: NDArray[Any]) -> NDArray[np.int64] | None:
        """Return the class of each row where each has one integer, which may be a class id; else None."""
        if not self.integers or self.shape != (1,):
            return None
        return np.unique(values, return_inverse=True)[1].ravel()

    def parse(self, values: Sequence[Any], steps: tuple[int, ...] = ()) -> NDArray[np.float32]:
        """Return `(rows, *shape)`. Raises `InvalidInstance` at the first value that is not a number of this shape."""
        try:
            array = array_from_lists(values)
        except NotNumbers as error:
            raise not_numbers(error) from None
        if array.shape[1:] != self.shape and (array.ndim > 1 or self.shape != (1,)):
            raise invalid_target(0, f"has the shape {array.shape[1:]}: give numbers of the shape {self.shape}")
        return array.reshape(len(array), *self.shape).astype(np.float32)

    def answer(self, outputs: NDArray[Any]) -> list[dict[str, Any]]:
        """Return the value for each row of `outputs` (rows, *shape): a plain number where the shape is `(1,)`."""
        return value_answers(outputs.reshape(len(outputs), *(() if self.shape == (1,) else self.shape)))

    def answer_bytes(self, output_shape: tuple[int, ...]) -> int:
        """Return the estimated bytes of the answer for one row as JSON."""
        return ROW_BYTES + NUMBER_BYTES * math.prod(self.shape)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON, stored beside the weights."""
        return asdict(self)

    @classmethod
    def from_json(cls, json: dict[str, Any]) -> Self:
        """Return the target that `to_json` wrote."""
        return cls(**{**json, "shape": tuple(json["shape"])})
