"""Pictures: brought to one size and to grey or RGB, with normalized pixels."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from annotated_types import Ge, Le
from numpy.typing import NDArray
from PIL import Image as PillowImage

from core.data.encoders.encoder import Parsed, Transform, WrongValue, separately, with_tuples
from core.data.errors import InvalidFile
from core.data.files.pictures import CHANNELS, Color, Fit, NotAPicture, pixels_of, read_picture
from core.data.files.values import FILE_SCHEMA, Decoded, FileValue, Pixels, content_of_json
from core.data.schema import Column, ColumnType

MAX_SIDE = 1024
MAX_DEFAULT_SIDE = 64
"""The longer side of pictures for which a spec names no size, so that a first net trains in minutes."""
MAX_FITTED = 2000
"""Training pictures from which mean and standard deviation are computed, evenly spread over all of them."""

SMALLEST_STD = 1e-3
"""Pixels of one value everywhere are not divided by their deviation, which is of rounding errors."""
DRAFT_SCALE = 2
"""A JPEG may be decoded at part of its size while it stays so many times larger than the encoded picture."""

Side = Annotated[int, Ge(1), Le(MAX_SIDE)]
Normalize = Literal["unit", "signed", "standard", "none"]

FIXED: dict[Normalize, tuple[float, float]] = {"unit": (0.0, 255.0), "signed": (127.5, 127.5), "none": (0.0, 1.0)}
"""What is subtracted from each pixel, and what divides it, where it does not depend on the data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageOptions:
    """Pictures: pixels (height, width, channels), turned upright by their EXIF data, as (p − a) / b.

    p is a pixel from 0 to 255; 16 bits keep their precision. `unit` has a = 0 and b = 255, `signed` a = b = 127.5,
    `none` a = 0 and b = 1; `standard` has mean and standard deviation of the training pictures for each channel.
    Grey is 0.299 red + 0.587 green + 0.114 blue (ITU-R BT.601).
    """

    type: Literal["image"] = "image"
    """`image`."""

    size: tuple[Side, Side] | None = None
    """[height, width]; by default the median of the dataset, made smaller to at most 64 pixels."""

    color: Color | None = None
    """`grey` for one channel or `rgb` for three; by default `grey` where all pictures are grey."""

    resize: Fit = "stretch"
    """For pictures of another shape: `stretch` them, `crop` their middle, or `pad` them with the background."""

    normalize: Normalize = "unit"
    """`unit` for pixels from 0 to 1, `signed` from −1 to 1, `standard` for mean 0 and standard deviation
    1, or `none`."""

    background: Annotated[int, Ge(0), Le(255)] = 255
    """The grey behind transparent pixels and beside padded pictures, 255 for white."""

    takes: ClassVar[tuple[ColumnType, ...]] = ("image",)
    alone: ClassVar[bool] = True

    def shape_for(self, column: Column) -> tuple[int, ...]:
        """Return `(height, width, channels)`."""
        return (*self._size(column), CHANNELS[self._color(column)])

    def fit(self, column: Column, values: NDArray[Any], *, scaled: bool) -> "Image":
        """Return the encoder for files `(rows,)`; only `standard` decodes some of them."""
        color = self._color(column)
        plain = Image(
            column=column.name,
            size=self._size(column),
            color=color,
            resize=self.resize,
            background=self.background,
            mean=(0.0,) * CHANNELS[color],
            std=(1.0,) * CHANNELS[color],
        )
        if self.normalize == "standard":
            mean, std = plain.statistics(values)
        else:
            mean, std = ((number,) * CHANNELS[color] for number in FIXED[self.normalize])
        return replace(plain, mean=mean, std=std)

    def _size(self, column: Column) -> tuple[int, int]:
        if self.size is not None:
            return self.size
        height, width, _ = column.shape
        scale = min(1.0, MAX_DEFAULT_SIDE / max(height, width))
        return max(1, round(height * scale)), max(1, round(width * scale))

    def _color(self, column: Column) -> Color:
        return self.color or ("grey" if column.shape[2] == 1 else "rgb")


@dataclass(frozen=True, kw_only=True)
class Image:
    """A column of pictures: (pixel − mean) / std."""

    type: Literal["image"] = "image"
    """`image`."""

    column: str
    """The column's name."""

    size: tuple[int, int]
    """(height, width)."""

    color: Color
    """`grey` or `rgb`."""

    resize: Fit
    """`stretch`, `crop` or `pad`."""

    background: int
    """The grey behind transparent pixels and beside padded pictures."""

    mean: tuple[float, ...]
    """Subtracted from the pixels of each channel."""

    std: tuple[float, ...]
    """Divides the pixels of each channel."""

    dtype: ClassVar[np.dtype[Any]] = np.dtype(object)
    reads_files: ClassVar[bool] = True

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one encoded picture: `(height, width, channels)`."""
        return (*self.size, len(self.mean))

    def parse(self, value: Any) -> Parsed:
        """Return the pixels of a picture in base64, or of its bytes. Raises `WrongValue`."""
        content = content_of_json(value)
        if content is None:
            raise WrongValue("is no picture: give a file in base64, or send it as the body with its Content-Type")
        try:
            return Decoded(self._pixels(self._picture(content))), None
        except NotAPicture as error:
            raise WrongValue(str(error)) from None

    def transform(self, values: NDArray[Any], out: NDArray[np.float32]) -> None:
        """Encode files `(rows,)` into `out` `(rows, height, width, channels)`. Raises `InvalidFile`."""
        mean, std = np.array(self.mean, np.float32), np.array(self.std, np.float32)
        for row, value in zip(out, values, strict=True):
            np.subtract(self._read(value), mean, out=row)
            row /= std

    def statistics(self, values: NDArray[Any]) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return mean and standard deviation of each channel over at most `MAX_FITTED` files."""
        step = -(-len(values) // MAX_FITTED) or 1
        sums, squares = np.zeros((2, len(self.mean)))
        chosen = values[::step]
        for value in chosen:
            pixels = self._read(value).astype(np.float64)
            sums += pixels.mean(axis=(0, 1))
            squares += np.square(pixels).mean(axis=(0, 1))
        mean = sums / len(chosen)
        std = np.sqrt(np.maximum(squares / len(chosen) - mean**2, 0))
        std[std < SMALLEST_STD] = 1
        return tuple(mean.tolist()), tuple(std.tolist())

    def _read(self, value: FileValue | Pixels | Decoded) -> NDArray[np.float32]:
        """Return pixels `(height, width, channels)` from 0 to 255."""
        if isinstance(value, Decoded):
            return value.array
        if isinstance(value, Pixels):
            return self._pixels(PillowImage.fromarray(value.array))
        try:
            return self._pixels(self._picture(value.read()))
        except NotAPicture as error:
            raise InvalidFile(f"{value.name} {error}") from None

    def _picture(self, content: bytes) -> PillowImage.Image:
        return read_picture(content, side=DRAFT_SCALE * max(self.size))

    def _pixels(self, picture: PillowImage.Image) -> NDArray[np.float32]:
        return pixels_of(picture, self.size, self.color, self.resize, self.background)

    @classmethod
    def combine(cls, encoders: Sequence[Self], starts: Sequence[int]) -> Transform:
        """Return the transform of several columns, one after the other."""
        return separately(encoders, starts)

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
