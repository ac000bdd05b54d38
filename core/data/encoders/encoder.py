"""The interface of an encoder: it turns one column of a table into numbers of the net's input.

A spec asks for an encoder by its options. The encoder is fitted on the training rows, stored beside the weights, and
applied to records in predictions. Its shape follows from options and schema alone, so that a spec can be checked before
any row is read. A new encoder is one file of this folder, one member each of `EncoderOptions` and `Encoder` in
`core.data.encoders`, and one row of `tests/core/data/encoders/cases.py`.
"""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from core.data.schema import Column, ColumnType

Transform = Callable[[NDArray[Any], NDArray[np.float32]], None]
"""Encodes several columns at once: `transform(values, x)` reads `values` (rows, columns), writes `x` (rows, width).

`x` is zero before; only the places of these columns are written.
"""


Parsed = tuple[Any, str | None]
"""One value of a record as an element of a loaded column, and a warning where the value is doubtful."""


class WrongValue(Exception):
    """The value of a record does not fit its column; the message gives what is required."""


class ColumnEncoderOptions(Protocol):
    """What a spec says of an encoder. Members are frozen dataclasses whose fields are the JSON that a client sends."""

    takes: ClassVar[tuple[ColumnType, ...]]
    """The types of columns that can be encoded so. Categories come as their names where texts are taken too."""

    alone: ClassVar[bool]
    """Whether the column must be the only feature: its values are no numbers to be put beside others."""

    @property
    def type(self) -> str:
        """The word for the encoder in a spec."""
        ...

    def shape_for(self, column: Column) -> tuple[int, ...]:
        """Return the shape of one encoded value of a column, from its schema.

        With one axis, columns are concatenated in x; an encoder with more axes must be the only one.
        """
        ...

    def fit(self, column: Column, values: NDArray[Any], *, scaled: bool) -> "ColumnEncoder":
        """Return the encoder fitted to a column's values in the training rows, `(rows,)` of its `dtype`.

        `scaled` is whether numbers are brought to a common scale; encoders of other columns ignore it.
        """
        ...


class ColumnEncoder(Protocol):
    """Encodes one column. Members are frozen dataclasses whose fields are their stored JSON."""

    reads_files: ClassVar[bool]
    """Whether values are files, which take bytes in a prediction, and time to decode."""

    dtype: ClassVar[np.dtype[Any]]
    """Type of a loaded column's values, and of parsed values: float64 with NaN, or int32 codes, for example."""

    @property
    def type(self) -> str:
        """The word for the encoder in JSON."""
        ...

    @property
    def column(self) -> str:
        """The name of the column."""
        ...

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one encoded value, equal to `shape_for` of options and column."""
        ...

    def parse(self, value: Any) -> Parsed:
        """Return the value of a JSON record as an element of a loaded column. Raises `WrongValue`."""
        ...

    def transform(self, values: NDArray[Any], out: NDArray[np.float32]) -> None:
        """Encode values `(rows,)` of `dtype` into `out` `(rows, *shape)`, which is zero before."""
        ...

    @classmethod
    def combine(cls, encoders: Sequence[Self], starts: Sequence[int]) -> Transform:
        """Return the transform of several columns, whose places in x begin at `starts`.

        `separately(encoders, starts)`, unless the arithmetic can run over all columns at once.
        """
        ...

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of a raw value: every value that `parse` takes is valid."""
        ...

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON, stored beside the weights."""
        ...

    @classmethod
    def from_json(cls, json: dict[str, Any]) -> Self:
        """Return the encoder that `to_json` wrote."""
        ...


def separately(encoders: Sequence[ColumnEncoder], starts: Sequence[int]) -> Transform:
    """Return the transform that encodes each column by itself."""

    def transform(values: NDArray[Any], x: NDArray[np.float32]) -> None:
        for place, (encoder, start) in enumerate(zip(encoders, starts, strict=True)):
            encoder.transform(values[:, place], x[:, start : start + encoder.shape[0]])

    return transform


def with_tuples(json: dict[str, Any]) -> dict[str, Any]:
    """Return JSON fields with lists as tuples, as the fields of frozen dataclasses are."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in json.items()}
