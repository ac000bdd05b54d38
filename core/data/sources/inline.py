"""Rows that are part of the spec."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import Ge, MinLen
from numpy.typing import NDArray

from core.data.cells import FLOAT32_MAX, quote
from core.data.errors import InvalidData
from core.data.features.sequences import SequenceFeatures
from core.data.nested_lists import NotNumbers, Ragged, array_from_lists
from core.data.padding import Padding, pad_sequences, require_no_padding_value, sequences_from_lists
from core.data.schema import Limits, Schema
from core.data.sources.arrays import Arrays
from core.data.sources.source import FirstErrorOnly, LoadedData, SourceSignature, StoredDataset
from core.data.splits import chosen_split
from core.data.splits.fraction import FractionSplit, Validation
from core.data.splits.split import SplitRule
from core.data.targets.classes import Classes, class_name
from core.data.targets.numbers import Numbers

MAX_CLASSES = Limits().categories
MAX_CLASS_NAME = Limits().category_length
"""Characters of the name of a class, as in a file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inline:
    """Rows that are part of the spec."""

    type: Literal["inline"] = "inline"
    """`inline`."""

    x: Annotated[list[Any], MinLen(1)]
    """The inputs, a list of rows: each a number, a list of numbers, or nested lists of one shape; with `padding` each
    a list of any number of steps."""

    y: Annotated[list[Any], MinLen(1)]
    """The targets, one for each row of x: numbers as in x, or a text or a boolean that names the class of the row.
    Where rows are padded, targets that have one number for each step are padded with 0 beside them; so are targets of
    different lengths, such as the labels 1, 2, … of a sequence for the loss `ctc`."""

    sample_weight: Annotated[list[Annotated[float, Ge(0)]], FirstErrorOnly(), MinLen(1)] | None = None
    """The weight of each row in the loss, one number for each row of x; left out: all equal."""

    padding: Padding | None = None
    """How rows of different lengths are padded; left out: all must be equally long."""

    validation: Validation | None = None
    """The rows for validation."""

    split: FractionSplit | None = None
    """The rows for validation and for a test after the last epoch, instead of `validation`."""

    @property
    def split_rule(self) -> SplitRule:
        """The split that `split` or `validation` asks for. Raises `InvalidData` where both do."""
        return chosen_split(self.validation, self.split)

    @property
    def dataset_id(self) -> None:
        """None: no dataset is needed."""

    def signature(self, schema: Schema | None) -> SourceSignature:
        """Return the number of rows and their shapes. Raises `InvalidData` as `arrays` does."""
        return self.arrays().signature()

    def load(self, dataset: StoredDataset | None) -> LoadedData:
        """Return all rows. Raises `InvalidData` as `arrays` does."""
        arrays = self.arrays()
        shape = arrays.x.shape[1:]
        if self.padding is None:
            return arrays.load()
        lengths = np.fromiter(map(len, self.x), np.int64, len(self.x)) if self.padding.side == "post" else None
        features = SequenceFeatures(shape=shape, value=self.padding.value, side=self.padding.side)
        return arrays.load_with(lambda _: features, lengths)

    def arrays(self) -> Arrays:
        """Return the rows as arrays: x (rows, *shape), y as numbers or classes, and the weights of the rows.

        Raises `InvalidData` at the first wrong value, and where x, y and the weights have different numbers of rows.
        """
        x = _column(_numbers(self.x, "x")) if self.padding is None else _padded_inputs(self.x, self.padding)
        if len(self.x) != len(self.y):
            raise InvalidData("/data/y", f"has {len(self.y)} rows and x has {len(self.x)}: give one target for each")
        types = set(map(type, self.y))
        if types in ({str}, {bool}):
            return Arrays(x, *_classes(list(map(class_name, self.y))), self._weights())
        if str in types or bool in types:
            message = "mixes texts or booleans with other values: give only texts for classes, else only numbers"
            raise InvalidData("/data/y", message)
        y, padded = self._number_targets(steps=x.shape[1])
        return Arrays(x, y, Numbers.from_values(y, padded=padded), self._weights())

    def _number_targets(self, steps: int) -> tuple[NDArray[np.float64], bool]:
        """Return y as numbers, and whether rows had different numbers of targets than steps and were padded."""
        if self.padding is not None and self._has_target_for_each_step():
            return _padded_targets(self.y, steps, self.padding.side), False
        if self.padding is not None and self._has_targets_of_different_lengths():
            rows = [row or [0] for row in self.y]
            return _padded_targets(rows, max(map(len, rows)), "post"), True
        return _column(_numbers(self.y, "y")), False

    def _has_target_for_each_step(self) -> bool:
        return all(isinstance(y, list) and len(y) == len(x) for x, y in zip(self.x, self.y, strict=True))

    def _has_targets_of_different_lengths(self) -> bool:
        return set(map(type, self.y)) == {list} and len(set(map(len, self.y))) > 1

    def _weights(self) -> NDArray[np.float32] | None:
        if self.sample_weight is None:
            return None
        pointer = "/data/sample_weight"
        if len(self.sample_weight) != len(self.x):
            message = f"has {len(self.sample_weight)} numbers and x has {len(self.x)} rows: give one for each row"
            raise InvalidData(pointer, message)
        if not 0 < max(self.sample_weight) <= FLOAT32_MAX:
            raise InvalidData(pointer, "must be numbers in the range of float32, at least one of them above 0")
        return np.array(self.sample_weight, np.float32)


def _column(array: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return rows of plain numbers (rows,) as (rows, 1); other shapes unchanged."""
    return array[:, None] if array.ndim == 1 else array


def _numbers(nested: list[Any], field: str) -> NDArray[np.float64]:
    try:
        return array_from_lists(nested)
    except NotNumbers as error:
        may_be_sequences = isinstance(error, Ragged) and field == "x" and len(error.path) == 1
        remedy = ", or set padding" if may_be_sequences else ""
        raise InvalidData(f"/data/{field}{error.pointer}", error.message + remedy) from None


def _padded_inputs(rows: list[Any], padding: Padding) -> NDArray[np.float64]:
    try:
        sequences = sequences_from_lists(rows)
        require_no_padding_value(sequences, padding.value)
        return pad_sequences(sequences, padding.maxlen or max(map(len, sequences)), padding.value, padding.side)
    except NotNumbers as error:
        raise InvalidData(f"/data/x{error.pointer}", error.message) from None


def _padded_targets(rows: list[Any], steps: int, side: str) -> NDArray[np.float64]:
    try:
        return pad_sequences(sequences_from_lists(rows), steps, 0.0, side)
    except NotNumbers as error:
        raise InvalidData(f"/data/y{error.pointer}", error.message) from None


def _classes(labels: list[str]) -> tuple[NDArray[np.int64], Classes]:
    names = sorted(set(labels))
    if len(names) < 2:
        raise InvalidData("/data/y", f"has only the class {quote(names[0])}: give rows of at least two classes")
    if len(names) > MAX_CLASSES:
        raise InvalidData("/data/y", f"has {len(names)} different classes, more than {MAX_CLASSES}: merge some")
    too_long = next((row for row, name in enumerate(labels) if len(name) > MAX_CLASS_NAME), None)
    if too_long is not None:
        message = f"is a class name of {len(labels[too_long]):,} characters, more than {MAX_CLASS_NAME}: shorten it"
        raise InvalidData(f"/data/y/{too_long}", message)
    if any("\0" in name for name in names):
        raise InvalidData("/data/y", "has a text with a NUL character: remove it")
    ids = {name: i for i, name in enumerate(names)}
    return np.fromiter(map(ids.__getitem__, labels), np.int64, len(labels)), Classes(names=tuple(names))
