"""What a net learns to say: numbers, or one of some classes.

A target travels with the weights, and turns outputs back into its own words.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """One number for each row, or an array of them."""

    shape: tuple[int, ...]
    """The shape of one row's target; `(1,)` for a single number."""

    integers: bool
    """Whether every number is whole, as ids of classes are."""

    least: float
    """The least number."""

    most: float
    """The greatest number."""

    distinct: int | None
    """How many different numbers; null where they were too many to count."""

    filled: bool = False
    """Whether rows had different numbers of targets, and the shorter are filled up with 0."""

    type: Literal["numbers"] = "numbers"
    """`numbers`."""

    def answer(self, outputs: NDArray[Any]) -> list[dict[str, Any]]:
        """The value for each row of `outputs` (rows, *shape): a plain number where the shape is `(1,)`."""
        return _values(outputs.reshape(len(outputs), *(() if self.shape == (1,) else self.shape)))

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, to be stored beside the weights."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Classes:
    """One of some named classes for each row, or for each of its steps."""

    names: tuple[str, ...]
    """The names; the place of one is its id."""

    type: Literal["classes"] = "classes"
    """`classes`."""

    def answer(self, outputs: NDArray[Any]) -> list[dict[str, Any]]:
        """The likeliest class of each row, and the probability of every class; lists of both for rows of steps.

        `outputs` are probabilities (rows, classes) or (rows, steps, classes); of two classes the second's alone will
        do, (rows, 1) or (rows,).
        """
        if outputs.ndim > 2:
            return [self._steps(row) for row in outputs.astype(np.float64)]
        rows = outputs.astype(np.float64).reshape(len(outputs), -1)
        if rows.shape[1] == 1 and len(self.names) == 2:
            rows = np.concatenate([1 - rows, rows], axis=1)
        return [self._named(row) for row in rows]

    def _steps(self, row: NDArray[np.float64]) -> dict[str, Any]:
        """Nested as the steps are."""
        parts = [self._steps(part) if part.ndim > 1 else self._named(part) for part in row]
        return {name: [part[name] for part in parts] for name in ("label", "probabilities")}

    def _named(self, row: NDArray[np.float64]) -> dict[str, Any]:
        if not np.isfinite(row).all():
            return {"label": None, "probabilities": dict.fromkeys(self.names)}
        return {
            "label": self.names[int(row.argmax())],
            "probabilities": dict(zip(self.names, row.tolist(), strict=True)),
        }

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, to be stored beside the weights."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """A sequence of labels for each row, whole numbers from 1."""

    most: int
    """How many labels a row has at most."""

    type: Literal["labels"] = "labels"
    """`labels`."""

    def answer(self, outputs: NDArray[Any]) -> list[dict[str, Any]]:
        """The labels of each row `(rows, …)`; what is 0 is none."""
        return [{"value": row[row != 0].tolist()} for row in outputs]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, to be stored beside the weights."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Embeddings:
    """A vector for each row, near those of rows of its class."""

    size: int
    """How many numbers it has."""

    type: Literal["embeddings"] = "embeddings"
    """`embeddings`."""

    def answer(self, outputs: NDArray[Any]) -> list[dict[str, Any]]:
        """The vector for each row of `outputs` (rows, size)."""
        return _values(outputs)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, to be stored beside the weights."""
        return asdict(self)


Told = Numbers | Classes
"""What data say of themselves; which loss learns it may make of it `Labels` or `Embeddings`."""

Target = Told | Labels | Embeddings

TARGETS: dict[str, Callable[..., Target]] = {
    "numbers": Numbers,
    "classes": Classes,
    "labels": Labels,
    "embeddings": Embeddings,
}


def target_from_json(json: dict[str, Any]) -> Target:
    """The target that `to_json` wrote."""
    fields = {name: tuple(value) if isinstance(value, list) else value for name, value in json.items()}
    return TARGETS[json["type"]](**fields)


def _values(outputs: NDArray[Any]) -> list[dict[str, Any]]:
    values = outputs.astype(np.float64)
    if np.isfinite(values).all():
        return [{"value": value} for value in values.tolist()]
    return [_valued(np.asarray(value)) for value in values]


def _valued(value: NDArray[np.float64]) -> dict[str, Any]:
    """One answer, in which some number may not be finite: JSON has no such, and the answer says which it was."""
    wrong = ~np.isfinite(value)
    if not wrong.any():
        return {"value": value.tolist()}
    written = value.astype(object)
    written[wrong] = None
    return {"value": written.tolist(), "nonfinite": str(value[wrong][0])}


def numbers_of(y: NDArray[Any], *, filled: bool = False) -> Numbers:
    """The target that an array (rows, *shape) is; one number for each row has the shape `(1,)`."""
    integers = bool((y == np.rint(y)).all())
    return Numbers(
        shape=tuple(y.shape[1:]) or (1,),
        integers=integers,
        least=float(y.min()),
        most=float(y.max()),
        distinct=len(np.unique(y)) if integers else None,
        filled=filled,
    )
