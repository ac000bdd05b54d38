"""Features of a table: instances are records, and each column has its encoder."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from core.data.cells import quote, quote_names
from core.data.encoders import encoder_from_json
from core.data.encoders.encoder import ColumnEncoder, Transform, WrongValue
from core.data.errors import InvalidInstance
from core.data.features.features import Encoded, Instances
from core.json_pointer import pointer
from core.spelling import closest
from core.warnings import WarningMessage, bounded

BLOCK_ROWS = 8192
"""Rows that are encoded at a time, so that the arrays between columns and x stay small."""


class _Group(NamedTuple):
    """Encoders of one type, whose columns are encoded together."""

    places: list[int]  # among all encoders
    dtype: np.dtype[Any]
    transform: Transform


@dataclass(frozen=True, kw_only=True)
class TableFeatures:
    """Instances are records of a table: objects by column, or lists in the order of the encoders."""

    encoders: tuple[ColumnEncoder, ...]
    """One for each column that is learnt from, in the order of x."""

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one row of x: that of a single encoder, or the sum of widths."""
        return self.encoders[0].shape if len(self.encoders) == 1 else (self._starts[-1],)

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns that are learnt from."""
        return tuple(encoder.column for encoder in self.encoders)

    @cached_property
    def _column_names(self) -> frozenset[str]:
        return frozenset(self.columns)

    @property
    def reads_files(self) -> bool:
        """Whether records have files to decode."""
        return any(encoder.reads_files for encoder in self.encoders)

    @cached_property
    def _starts(self) -> list[int]:
        return [0, *np.cumsum([encoder.shape[0] for encoder in self.encoders]).tolist()]

    @cached_property
    def _groups(self) -> list[_Group]:
        places: dict[type[ColumnEncoder], list[int]] = {}
        for place, encoder in enumerate(self.encoders):
            places.setdefault(type(encoder), []).append(place)
        return [
            _Group(
                chosen,
                kind.dtype,
                kind.combine([self.encoders[place] for place in chosen], [self._starts[place] for place in chosen]),
            )
            for kind, chosen in places.items()
        ]

    def transform(self, values: Mapping[str, NDArray[Any]], rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the chosen rows of columns, as readers load them by name, as x."""
        x = np.zeros((len(rows), *self.input_shape), np.float32)
        for start in range(0, len(rows), BLOCK_ROWS):
            chosen = rows[start : start + BLOCK_ROWS]
            for group in self._groups:
                block = np.empty((len(chosen), len(group.places)), group.dtype)
                for i, place in enumerate(group.places):
                    block[:, i] = values[self.encoders[place].column][chosen]
                group.transform(block, x[start : start + BLOCK_ROWS])
        return x

    def encode(self, instances: Instances) -> Encoded:
        """Return the instances as rows of x. Raises `InvalidInstance` at the first that is wrong."""
        records = instances.tolist() if isinstance(instances, np.ndarray) else instances
        warnings: list[list[WarningMessage]] = [[] for _ in records]
        parsed = [self._parse(index, record, warnings[index]) for index, record in enumerate(records)]
        x = np.zeros((len(records), *self.input_shape), np.float32)
        columns = list(zip(*parsed, strict=True))
        for group in self._groups if parsed else []:
            group.transform(np.array([columns[place] for place in group.places], group.dtype).T, x)
        return Encoded(x, list(map(bounded, warnings)))

    def _parse(self, index: int, record: Any, warnings: list[WarningMessage]) -> list[Any]:
        """Return the parsed value of each column; warnings are appended."""
        parsed: list[Any] = []
        for encoder, value in zip(self.encoders, self._values(index, record), strict=True):
            try:
                if isinstance(value, bytes) and not encoder.reads_files:
                    raise WrongValue("is a file: this network was trained on columns that have none")
                found, warning = encoder.parse(value)
            except WrongValue as error:
                key = encoder.column if isinstance(record, dict) else len(parsed)
                raise InvalidInstance(index, pointer("instances", index, key), str(error)) from None
            seen = getattr(encoder, "seen", None)
            far = None if seen is None else seen.far_outside(found)
            if warning or far:
                place = pointer(encoder.column if isinstance(record, dict) else len(parsed))
                warnings.append(
                    WarningMessage("far_outside", place, f"{encoder.column}: {far}")
                    if far
                    else WarningMessage("doubtful_value", place, warning or "")
                )
            parsed.append(found)
        if isinstance(record, dict) and len(record) > len(self.encoders):
            warnings.append(self._unknown_fields(record))
        return parsed

    def _unknown_fields(self, record: dict[str, Any]) -> WarningMessage:
        unknown = [name for name in record if name not in self._column_names]
        fields = f"{quote_names(unknown)} {'is' if len(unknown) == 1 else 'are'} no column of this model"
        return WarningMessage("unknown_field", "", f"{fields}: not used")

    def _values(self, index: int, record: Any) -> list[Any]:
        """Return the values of a record in the order of the encoders."""
        if isinstance(record, dict):
            try:
                return [record[encoder.column] for encoder in self.encoders]
            except KeyError as error:
                sent = closest(error.args[0], record)
                seen = f", but {quote(sent)} is: rename it" if sent else ""
                message = (
                    f"is not there{seen}: give every column the net was trained on (null where its value is missing)"
                )
                raise InvalidInstance(index, pointer("instances", index, error.args[0]), message) from None
        if isinstance(record, list) and len(record) == len(self.encoders):
            return record
        found = f"a list of {len(record)} values" if isinstance(record, list) else "neither an object nor a list"
        message = f"is {found}: give an object by column, or a list of {len(self.encoders)} values"
        raise InvalidInstance(index, pointer("instances", index), message)

    def schema(self) -> dict[str, Any]:
        """Return the form of an instance: the JSON Schema of an object by column."""
        return {
            "type": "object",
            "properties": {encoder.column: encoder.schema() for encoder in self.encoders},
            "required": [encoder.column for encoder in self.encoders],
        }

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON, stored beside the weights."""
        return {"type": "table", "encoders": [encoder.to_json() for encoder in self.encoders]}

    @classmethod
    def from_json(cls, json: dict[str, Any]) -> Self:
        """Return the features that `to_json` wrote."""
        return cls(encoders=tuple(map(encoder_from_json, json["encoders"])))
