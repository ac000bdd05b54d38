"""Where a job's data comes from: the spec itself, a generator, or an uploaded dataset.

Each source is a frozen dataclass whose fields are the JSON that a client sends; their union stands at the foot.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import Ge, MinLen
from numpy.typing import NDArray

from core.data.cells import FLOAT32_MAX, shown
from core.data.errors import InvalidData
from core.data.nested_lists import Arrays, NotNumbers, Ragged, numbers
from core.data.padding import Padding, filled, refuse_hidden, sequences
from core.data.sources.builtin import Builtin
from core.data.split import Validation
from core.data.targets import Classes, numbers_of
from core.nn.tagged_union import Tagged

MAX_CLASSES = 1000
WEIGHT = "/data/sample_weight"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inline:
    """Rows that stand in the spec."""

    type: Literal["inline"] = "inline"
    """`inline`."""

    x: Annotated[list[Any], MinLen(1)]
    """The inputs, a list of rows: each a number, a list of numbers, or nested lists of one shape; with `padding` each
    a list of steps, as many as it has."""

    y: Annotated[list[Any], MinLen(1)]
    """The targets, one for each row of x: numbers as in x, or a text or a boolean that names the row's class. Where
    rows are padded, targets of which each row has one for each step are padded too, with 0; and so are those of which
    rows have different numbers, such as the labels 1, 2, … of a sequence, for the loss `ctc`."""

    sample_weight: Annotated[list[Annotated[float, Ge(0)]], MinLen(1)] | None = None
    """How much each row counts in the loss, one number for each row of x; left out: all alike."""

    padding: Padding | None = None
    """Rows are sequences of different lengths, and are filled up to one; left out: all have to be equally long."""

    validation: Validation | None = None
    """What is held out to validate with."""

    def arrays(self) -> Arrays:
        """The rows: x (rows, *shape), y as numbers or classes, and how much each counts.

        Raises `InvalidData` at the first value that is wrong, and where x, y and the weights differ in rows.
        """
        x = column(_numbers(self.x, "x")) if self.padding is None else _padded(self.x, self.padding)
        if len(self.x) != len(self.y):
            raise InvalidData(
                "/data/y", f"has {len(self.y)} rows where x has {len(self.x)}: give one target for each row"
            )
        kinds = set(map(type, self.y))
        if kinds <= NAMING.keys() and len(kinds) == 1:
            return Arrays(x, *_classes([NAMING[type(value)](value) for value in self.y]), self._weights())
        if str in kinds or bool in kinds:
            raise InvalidData(
                "/data/y", "mixes numbers, texts and booleans: give texts alone for classes, else numbers"
            )
        if self._each_step():
            return self._of_numbers(x, self._padded_y(self.y, x.shape[1], self._side()))
        if self._uneven():
            rows = [row or [0] for row in self.y]
            return self._of_numbers(x, self._padded_y(rows, max(map(len, rows)), "post"), filled=True)
        return self._of_numbers(x, column(_numbers(self.y, "y")))

    def _each_step(self) -> bool:
        """Whether rows are padded and each has as many targets as it has steps."""
        pairs = zip(self.x, self.y, strict=True)
        return self.padding is not None and all(isinstance(y, list) and len(y) == len(x) for x, y in pairs)

    def _uneven(self) -> bool:
        """Whether rows are padded and have different numbers of targets."""
        return self.padding is not None and set(map(type, self.y)) == {list} and len(set(map(len, self.y))) > 1

    def _of_numbers(self, x: NDArray[np.float64], y: NDArray[np.float64], *, filled: bool = False) -> Arrays:
        return Arrays(x, y, numbers_of(y, filled=filled), self._weights())

    def _side(self) -> str:
        return self.padding.side if self.padding else "post"

    def _padded_y(self, rows: list[Any], steps: int, side: str) -> NDArray[np.float64]:
        try:
            return filled(sequences(rows), steps, 0.0, side)
        except NotNumbers as error:
            raise InvalidData(f"/data/y{error.pointer}", error.message) from None

    def _weights(self) -> NDArray[np.float32] | None:
        if self.sample_weight is None:
            return None
        if len(self.sample_weight) != len(self.x):
            message = f"has {len(self.sample_weight)} numbers where x has {len(self.x)} rows: give one for each row"
            raise InvalidData(WEIGHT, message)
        if not 0 < max(self.sample_weight) <= FLOAT32_MAX:
            raise InvalidData(WEIGHT, "must be numbers that a float32 holds, and some of them above 0")
        return np.array(self.sample_weight, np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetReference:
    """Columns of an uploaded dataset."""

    type: Literal["dataset"] = "dataset"
    """`dataset`."""

    id: str
    """The dataset's id, `ds_…`."""

    features: Annotated[list[str], MinLen(1)] | None = None
    """The columns to learn from, by default all but the target and texts; of an npz file the one array, by default
    `x`."""

    target: str | None = None
    """The column to predict; of an npz file by default `y`."""

    sample_weight: str | None = None
    """The column that says how much each row counts in the loss, numbers from 0 up; left out: all alike. Nothing is
    learnt from it."""

    scaling: Literal["standard", "none"] | None = None
    """`standard` brings columns of numbers to mean 0 and deviation 1, as found in the training rows; `none` does not.
    By default `standard` for tables; arrays of an npz file are always left as they are."""

    validation: Validation | None = None
    """What is held out to validate with."""


Data = Annotated[Inline | Builtin | DatasetReference, Tagged()]

NAMING: dict[type, Any] = {str: str, bool: lambda value: str(value).lower()}
"""How the values that name classes are written: a text as it is, a boolean as JSON writes it."""


def column(array: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows of plain numbers (rows,) as rows of one number each (rows, 1); other shapes as they are."""
    return array[:, None] if array.ndim == 1 else array


def _padded(rows: list[Any], padding: Padding) -> NDArray[np.float64]:
    try:
        found = sequences(rows)
        refuse_hidden(found, padding.value)
        return filled(found, padding.maxlen or max(map(len, found)), padding.value, padding.side)
    except NotNumbers as error:
        raise InvalidData(f"/data/x{error.pointer}", error.message) from None


def _numbers(nested: list[Any], field: str) -> NDArray[np.float64]:
    try:
        return numbers(nested)
    except NotNumbers as error:
        sequences_meant = isinstance(error, Ragged) and field == "x" and len(error.path) == 1
        remedy = ", or pad them: padding says how" if sequences_meant else ""
        raise InvalidData(f"/data/{field}{error.pointer}", error.message + remedy) from None


def _classes(labels: list[str]) -> tuple[NDArray[np.int64], Classes]:
    names = sorted(set(labels))
    if len(names) < 2:
        raise InvalidData("/data/y", f"holds the class {shown(names[0])} alone: there is nothing to tell it from")
    if len(names) > MAX_CLASSES:
        raise InvalidData("/data/y", f"holds {len(names)} different classes: at most {MAX_CLASSES} are taken")
    if any("\0" in name for name in names):
        raise InvalidData("/data/y", "holds a text with a NUL in it: take it out")
    ids = {name: i for i, name in enumerate(names)}
    return np.fromiter(map(ids.__getitem__, labels), np.int64, len(labels)), Classes(names=tuple(names))
