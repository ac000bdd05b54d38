"""Targets that are classes: one of several named classes for each row, or for each step of a row."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from json import dumps
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from core.data.cells import quote_names
from core.data.targets.target import NUMBER_BYTES, ROW_BYTES, invalid_target


@dataclass(frozen=True, slots=True, kw_only=True)
class Classes:
    """One of several named classes for each row, or for each of its steps."""

    names: tuple[str, ...]
    """The names; the index of a name is its id."""

    type: Literal["classes"] = "classes"
    """`classes`."""

    @property
    def row_bytes(self) -> int:
        """Bytes of one row of y: an int64 id."""
        return 8

    def array(self, values: NDArray[Any]) -> NDArray[np.int64]:
        """Return loaded class ids `(rows,)` as y."""
        return values.astype(np.int64)

    def class_ids(self, values: NDArray[Any]) -> NDArray[np.int64]:
        """Return the class of each row, numbered without gaps."""
        return np.unique(values, return_inverse=True)[1].ravel()

    def parse(self, values: Sequence[Any], steps: tuple[int, ...] = ()) -> NDArray[np.int64]:
        """Return the id of the class that each value names, `(rows, *steps)`.

        Raises `InvalidInstance` at the first value that names none, and for lists of other lengths than `steps`.
        """
        ids = {name: class_id for class_id, name in enumerate(self.names)}
        rows = [_ids_of_row(ids, value, steps, (index,)) for index, value in enumerate(values)]
        return np.array(rows, np.int64).reshape(len(rows), *steps)

    def answer(self, outputs: NDArray[Any]) -> list[dict[str, Any]]:
        """Return the most probable class of each row and the probability of every class; lists of both for steps.

        `outputs` are probabilities (rows, classes) or (rows, steps, classes). For two classes, the probability of the
        second is enough: (rows, 1) or (rows,).
        """
        if outputs.ndim > 2:
            return [self._answer_of_steps(row) for row in outputs.astype(np.float64)]
        rows = outputs.astype(np.float64).reshape(len(outputs), -1)
        if rows.shape[1] == 1 and len(self.names) == 2:
            rows = np.concatenate([1 - rows, rows], axis=1)
        return [self._answer_of_row(row) for row in rows]

    def _answer_of_steps(self, row: NDArray[np.float64]) -> dict[str, Any]:
        """Return lists of labels and probabilities, nested as the steps are."""
        parts = [self._answer_of_steps(part) if part.ndim > 1 else self._answer_of_row(part) for part in row]
        return {name: [part[name] for part in parts] for name in ("label", "probabilities")}

    def _answer_of_row(self, row: NDArray[np.float64]) -> dict[str, Any]:
        if not np.isfinite(row).all():
            return {"label": None, "probabilities": dict.fromkeys(self.names)}
        return {
            "label": self.names[int(row.argmax())],
            "probabilities": dict(zip(self.names, row.tolist(), strict=True)),
        }

    def answer_bytes(self, output_shape: tuple[int, ...]) -> int:
        """Return the estimated bytes of the answer for one row as JSON: for each step every name with a number."""
        names = [len(dumps(name, ensure_ascii=False).encode()) + 1 for name in self.names]
        return ROW_BYTES + math.prod(output_shape[:-1]) * (sum(names) + max(names) + NUMBER_BYTES * len(names))

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON, stored beside the weights."""
        return asdict(self)

    @classmethod
    def from_json(cls, json: dict[str, Any]) -> Self:
        """Return the target that `to_json` wrote."""
        return cls(names=tuple(json["names"]))


def class_name(value: Any) -> str:
    """Return the name of the class that a JSON value names: a text as it is, a boolean as JSON, 1.0 as `1`."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _ids_of_row(ids: dict[str, int], value: Any, steps: tuple[int, ...], path: tuple[int, ...]) -> Any:
    """Return the id of one class, or one for each step, nested as the steps are."""
    if steps:
        if not isinstance(value, list) or len(value) != steps[0]:
            raise invalid_target(path[0], f"must be a list of {steps[0]}: a class for each step", *path[1:])
        return [_ids_of_row(ids, part, steps[1:], (*path, step)) for step, part in enumerate(value)]
    found = None if isinstance(value, list | dict) else ids.get(class_name(value))
    if found is None:
        raise invalid_target(path[0], f"is not a class: give one of {quote_names(list(ids))}", *path[1:])
    return found
