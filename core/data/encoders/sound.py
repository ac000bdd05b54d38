"""What the encoders of recordings share: one rate, one length, and the way from a file to its samples."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any, ClassVar, Literal, Self, cast

import numpy as np
from annotated_types import Ge, Gt, Le
from numpy.typing import NDArray

from core.data.encoders.encoder import ColumnEncoder, Parsed, Transform, WrongValue, separately, with_tuples
from core.data.errors import InvalidFile
from core.data.files.recordings import NotARecording, aligned, read_recording, samples_in
from core.data.files.values import FILE_SCHEMA, Decoded, FileValue, content_of_json
from core.data.schema import Column, ColumnType

MAX_SECONDS = 60.0
MAX_DEFAULT_SECONDS = 10.0
"""Seconds of recordings for which a spec names no length, where the longest is longer."""
MAX_FITTED = 2000
"""Training recordings from which means and deviations are computed, evenly spread over all of them."""
SMALLEST_STD = 1e-3
"""Log energies that are equal everywhere are not divided by their deviation, which is of rounding errors."""

Align = Literal["start", "center"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundOptions:
    """The options that all encoders of recordings have."""

    rate: Annotated[int, Ge(1000), Le(96_000)] = 16_000
    """Samples a second, to which every recording is brought."""

    seconds: Annotated[float, Gt(0), Le(MAX_SECONDS)] | None = None
    """The length of each recording; by default that of the longest one, at most 10. Longer ones are cut, shorter ones
    end with silence."""

    align: Align = "start"
    """`start` keeps the beginning of longer recordings, `center` their middle; shorter ones are placed so."""

    takes: ClassVar[tuple[ColumnType, ...]] = ("audio",)
    alone: ClassVar[bool] = True

    def samples(self, column: Column) -> int:
        """Return the samples of each recording."""
        return samples_in(self.seconds or min(column.max or 1.0, MAX_DEFAULT_SECONDS), self.rate)


@dataclass(frozen=True, kw_only=True)
class Sound:
    """A column of recordings, brought to one rate and one length."""

    column: str
    """The column's name."""

    rate: int
    """Samples a second."""

    samples: int
    """Samples of each recording."""

    align: Align
    """`start` or `center`."""

    dtype: ClassVar[np.dtype[Any]] = np.dtype(object)
    reads_files: ClassVar[bool] = True

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one encoded recording."""
        raise NotImplementedError

    def encoded(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return samples `(samples,)` in the encoder's shape."""
        raise NotImplementedError

    def parse(self, value: Any) -> Parsed:
        """Return the samples of a recording in base64, or of its bytes. Raises `WrongValue`."""
        content = content_of_json(value)
        if content is None:
            raise WrongValue("is no recording: give a file in base64, or send it as the body with its Content-Type")
        try:
            return Decoded(self._decoded(content)), None
        except NotARecording as error:
            raise WrongValue(str(error)) from None

    def transform(self, values: NDArray[Any], out: NDArray[np.float32]) -> None:
        """Encode files `(rows,)` into `out` `(rows, *shape)`. Raises `InvalidFile`."""
        for row, value in zip(out, values, strict=True):
            row[...] = self.encoded(self.read(value))

    def read(self, value: FileValue | Decoded) -> NDArray[np.float32]:
        """Return the samples `(samples,)` of a file. Raises `InvalidFile`."""
        if isinstance(value, Decoded):
            return value.array
        try:
            return self._decoded(value.read())
        except NotARecording as error:
            raise InvalidFile(f"{value.name} {error}") from None

    def _decoded(self, content: bytes) -> NDArray[np.float32]:
        return aligned(read_recording(content, self.rate), self.samples, self.align)

    def statistics(self, values: NDArray[Any]) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return mean and standard deviation of each last axis of the encoding, over at most `MAX_FITTED` files."""
        step = -(-len(values) // MAX_FITTED) or 1
        sums, squares, count = np.zeros(self.shape[-1]), np.zeros(self.shape[-1]), 0
        for value in values[::step]:
            rows = self.encoded(self.read(value)).astype(np.float64)
            sums += rows.sum(axis=0)
            squares += np.square(rows).sum(axis=0)
            count += len(rows)
        mean = sums / count
        std = np.sqrt(np.maximum(squares / count - mean**2, 0))
        std[std < SMALLEST_STD] = 1
        return tuple(mean.tolist()), tuple(std.tolist())

    @classmethod
    def combine(cls, encoders: Sequence[Self], starts: Sequence[int]) -> Transform:
        """Return the transform of several columns, one after the other."""
        return separately(cast("Sequence[ColumnEncoder]", encoders), starts)

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of a raw value: a file in base64."""
        return {"title": self.column, **FILE_SCHEMA}

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON, stored beside the weights."""
        return asdict(self)

    @classmethod
    def from_json(cls, json: dict[str, Any]) -> Self:
        """Return the encoder that `to_json` wrote."""
        return cls(**with_tuples(json))
