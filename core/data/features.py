"""How instances become rows of x: arrays as they are, or records of a table, each column by its rule.

Features travel with the weights, so that a prediction takes records as they stood in the dataset. Training and
prediction share the lines that write x: the same record gives the same bits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from core.data.cells import FLOAT32_MAX
from core.data.encoders.encoder import ENCODERS, MISSING_CODE, Encoder, OneHot, Standardize, WrongValue
from core.data.errors import InvalidInstance
from core.data.nested_lists import NotNumbers, numbers
from core.data.padding import filled, sequences
from core.json_pointer import pointer

BLOCK_ROWS = 8192

Floats = NDArray[np.float64]


class Encoded(NamedTuple):
    """Instances as the net takes them: x float32 (rows, *shape), and for each row what was doubtful in it."""

    x: NDArray[np.float32]
    warnings: list[list[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrayFeatures:
    """Instances are arrays of numbers of one shape, and go to the net as they are."""

    shape: tuple[int, ...]
    """The shape of one instance; for `(1,)` a plain number will do."""

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one row of x."""
        return self.shape

    def encode(self, instances: Sequence[Any] | NDArray[Any]) -> Encoded:
        """The instances as rows of x. Raises `InvalidInstance` at the first that is wrong."""
        if not len(instances):
            return Encoded(np.empty((0, *self.shape), np.float32), [])
        array = instances if isinstance(instances, np.ndarray) else self._array(instances)
        if not self._right(array):
            raise self._wrong(0, "", f"has the shape {array.shape[1:]}")
        beyond = np.argwhere(~(np.abs(array) <= FLOAT32_MAX))
        if beyond.size:
            index, *path = map(int, beyond[0])
            raise self._wrong(index, pointer(*path), "is not a number that a float32 holds")
        x = np.ascontiguousarray(array.reshape(len(array), *self.shape), dtype=np.float32)
        return Encoded(x, [[] for _ in range(len(x))])

    def _right(self, array: NDArray[Any]) -> bool:
        return array.shape[1:] == self.shape or (self.shape == (1,) and array.ndim == 1)

    def _array(self, instances: Sequence[Any]) -> Floats:
        try:
            array = numbers(instances)
        except NotNumbers:
            return self._one_by_one(instances)
        return array if self._right(array) else self._one_by_one(instances)

    def _one_by_one(self, instances: Sequence[Any]) -> Floats:
        """The slow way, which knows the first instance that is wrong; a plain number and a list of it may be mixed."""
        rows = []
        for index, instance in enumerate(instances):
            try:
                row = numbers([instance])
            except NotNumbers as error:
                raise self._wrong(index, pointer(*error.path[1:]), error.message) from None
            if not self._right(row):
                raise self._wrong(index, "", f"has the shape {row.shape[1:]}" if row.ndim > 1 else "is a single number")
            rows.append(row.reshape(self.shape))
        return np.stack(rows)

    def _wrong(self, index: int, path: str, message: str) -> InvalidInstance:
        wanted = "a number" if self.shape == (1,) else f"numbers of the shape {self.shape}"
        return InvalidInstance(index, f"/instances/{index}{path}", f"{message}: give {wanted} for each instance")

    def transform(self, values: NDArray[Any], rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """The chosen rows of an array (all, *shape) as x."""
        return np.ascontiguousarray(values[rows], dtype=np.float32)

    def schema(self) -> dict[str, Any]:
        """What an instance holds, for a reader."""
        return {"shape": list(self.shape)}

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, to be stored beside the weights."""
        return {"type": "arrays", "shape": list(self.shape)}

    @classmethod
    def from_json(cls, json: dict[str, Any]) -> "ArrayFeatures":
        """The features that `to_json` wrote."""
        return cls(shape=tuple(json["shape"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceFeatures:
    """Instances are sequences of any length up to one, and are filled up to it."""

    shape: tuple[int, ...]
    """(steps, …): the most steps that an instance may have, and the shape of each."""

    value: float
    """What fills up."""

    side: Literal["post", "pre"]
    """Whether it comes after the steps or before them."""

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one row of x."""
        return self.shape

    def encode(self, instances: Sequence[Any] | NDArray[Any]) -> Encoded:
        """The instances as rows of x. Raises `InvalidInstance` at the first that is wrong."""
        listed = instances.tolist() if isinstance(instances, np.ndarray) else instances
        if not len(listed):
            return Encoded(np.empty((0, *self.shape), np.float32), [])
        try:
            x = self._filled(sequences(listed))
        except NotNumbers as error:
            index = error.path[0] if error.path else 0
            raise InvalidInstance(index, f"/instances{error.pointer}", error.message) from None
        return Encoded(np.ascontiguousarray(x, dtype=np.float32), [[] for _ in listed])

    def _filled(self, rows: list[Floats]) -> Floats:
        for index, row in enumerate(rows):
            if row.shape[1:] != self.shape[1:]:
                message = f"has steps of the shape {row.shape[1:]}: give steps of the shape {self.shape[1:]}"
                raise NotNumbers((index,), message)
        return filled(rows, self.shape[0], self.value, self.side)

    def transform(self, values: NDArray[Any], rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """The chosen rows of an array (all, *shape), filled up already, as x."""
        return np.ascontiguousarray(values[rows], dtype=np.float32)

    def schema(self) -> dict[str, Any]:
        """What an instance holds, for a reader."""
        return {"shape": [None, *self.shape[1:]], "most_steps": self.shape[0]}

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, to be stored beside the weights."""
        return {"type": "sequences", "shape": list(self.shape), "value": self.value, "side": self.side}

    @classmethod
    def from_json(cls, json: dict[str, Any]) -> "SequenceFeatures":
        """The features that `to_json` wrote."""
        return cls(shape=tuple(json["shape"]), value=json["value"], side=json["side"])


class _Numbers(NamedTuple):
    """The columns of numbers: their places among the rules and in x, and their figures, each (numbers,) long."""

    places: list[int]
    at: NDArray[np.int64]
    mean: Floats
    std: Floats
    imputed: Floats
    marked: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class TableFeatures:
    """Instances are records of a table: objects by column, or lists in the order of the rules."""

    encoders: tuple[Encoder, ...]
    """One for each column that is learnt from, in the order of x."""

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one row of x."""
        return (self._starts[-1],)

    @cached_property
    def _starts(self) -> list[int]:
        return [0, *np.cumsum([rule.width for rule in self.encoders]).tolist()]

    @cached_property
    def _numbers(self) -> _Numbers:
        places = [place for place, rule in enumerate(self.encoders) if isinstance(rule, Standardize)]
        encoders = [cast("Standardize", self.encoders[place]) for place in places]
        at = np.array([self._starts[place] for place in places], np.int64)
        mean, std, imputed = np.array([(rule.mean, rule.std, rule.imputed) for rule in encoders]).reshape(-1, 3).T
        return _Numbers(places, at, mean, std, imputed, np.flatnonzero([rule.marked for rule in encoders]))

    @cached_property
    def _categories(self) -> list[tuple[int, OneHot]]:
        return [(place, rule) for place, rule in enumerate(self.encoders) if isinstance(rule, OneHot)]

    def transform(self, values: Mapping[str, NDArray[Any]], rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """The chosen rows of columns (float64 with NaN, or codes with −1, for missing) as x."""
        x = np.zeros((len(rows), *self.input_shape), np.float32)
        for start in range(0, len(rows), BLOCK_ROWS):
            chosen = rows[start : start + BLOCK_ROWS]
            block = np.empty((len(chosen), len(self.encoders)))
            for place, rule in enumerate(self.encoders):
                block[:, place] = values[rule.column][chosen]
            self._write(x[start : start + BLOCK_ROWS], block)
        return x

    def encode(self, instances: Sequence[Any] | NDArray[Any]) -> Encoded:
        """The instances as rows of x. Raises `InvalidInstance` at the first that is wrong."""
        listed = instances.tolist() if isinstance(instances, np.ndarray) else instances
        warnings: list[list[str]] = [[] for _ in listed]
        parsed = [self._parsed(i, instance, warnings[i]) for i, instance in enumerate(listed)]
        x = np.zeros((len(listed), *self.input_shape), np.float32)
        self._write(x, np.array(parsed, np.float64).reshape(len(listed), len(self.encoders)))
        return Encoded(x, warnings)

    def _write(self, x: NDArray[np.float32], block: Floats) -> None:
        """Fill zeros `x` (rows, width) from `block` (rows, rules): numbers, NaN for missing, or codes of categories."""
        layout = self._numbers
        values = block[:, layout.places]
        missing = np.isnan(values)
        with np.errstate(over="ignore"):
            scaled = (np.where(missing, layout.imputed, values) - layout.mean) / layout.std
        x[:, layout.at] = np.clip(scaled, -FLOAT32_MAX, FLOAT32_MAX)
        x[:, layout.at[layout.marked] + 1] = missing[:, layout.marked]
        for place, rule in self._categories:
            self._write_ones(x, self._starts[place], rule, block[:, place].astype(np.int32))

    def _write_ones(self, x: NDArray[np.float32], start: int, rule: OneHot, codes: NDArray[Any]) -> None:
        known = np.flatnonzero(codes >= 0)
        seen = rule.codes[codes[known]]
        x[known[seen >= 0], start + seen[seen >= 0]] = 1
        if rule.marked:
            x[:, start + len(rule.categories)] = codes == MISSING_CODE

    def _record(self, index: int, instance: Any) -> list[Any]:
        """The values of an instance in the order of the rules."""
        if isinstance(instance, dict):
            try:
                return [instance[rule.column] for rule in self.encoders]
            except KeyError as error:
                message = "is not there: give every column that the net learnt from (null where its value is missing)"
                raise InvalidInstance(index, pointer("instances", index, error.args[0]), message) from None
        if isinstance(instance, list) and len(instance) == len(self.encoders):
            return instance
        found = f"a list of {len(instance)} values" if isinstance(instance, list) else "neither object nor list"
        message = f"is {found}: give an object by column, or a list of {len(self.encoders)} values"
        raise InvalidInstance(index, f"/instances/{index}", message)

    def _parsed(self, index: int, instance: Any, warnings: list[str]) -> list[float]:
        """A number or a code for each rule; what is doubtful is added to the warnings."""
        parsed: list[float] = []
        for rule, value in zip(self.encoders, self._record(index, instance), strict=True):
            try:
                found, warning = rule.parse(value)
            except WrongValue as error:
                key = rule.column if isinstance(instance, dict) else len(parsed)
                raise InvalidInstance(index, pointer("instances", index, key), str(error)) from None
            parsed.append(found)
            if warning:
                warnings.append(warning)
        return parsed

    def schema(self) -> dict[str, Any]:
        """What an instance holds, for a reader."""
        return {"columns": [rule.schema() for rule in self.encoders]}

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, to be stored beside the weights."""
        return {"type": "table", "rules": [asdict(rule) for rule in self.encoders]}

    @classmethod
    def from_json(cls, json: dict[str, Any]) -> "TableFeatures":
        """The features that `to_json` wrote."""
        return cls(encoders=tuple(ENCODERS[rule["type"]](**_tuples(rule)) for rule in json["rules"]))


Features = ArrayFeatures | SequenceFeatures | TableFeatures

FEATURES: dict[str, type[Features]] = {
    "arrays": ArrayFeatures,
    "sequences": SequenceFeatures,
    "table": TableFeatures,
}


def features_from_json(json: dict[str, Any]) -> Features:
    """The features that `to_json` wrote."""
    return FEATURES[json["type"]].from_json(json)


def _tuples(json: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in json.items()}
