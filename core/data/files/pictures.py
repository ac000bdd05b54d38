"""Pictures: opened only in the named formats, bounded in pixels, turned upright, and brought to one size."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
"""The formats that Pillow may open; a file of another one is refused, whatever its name."""

MAX_PIXELS = 2**25
"""Pixels of a picture, so that decoding takes at most some 200 MB. Pillow refuses twice its own limit besides."""

SIXTEEN_BITS = 257
"""65535 / 255: pixels of 16 bits become fractions of the range of 8 bits."""

ORIENTATION = 0x0112
"""The tag of EXIF that says how a picture was held."""
TURNED = range(5, 9)
"""Its values for pictures whose height is stored as their width."""

Color = Literal["grey", "rgb"]
Fit = Literal["stretch", "crop", "pad"]

CHANNELS: dict[Color, int] = {"grey": 1, "rgb": 3}


class NotAPicture(ValueError):
    """{message}."""


def read_picture(content: bytes, side: int | None = None) -> Image.Image:
    """Return a picture upright, in grey, RGB or RGBA of 8 bits; grey of 16 bits as floats from 0 to 255.

    Of several frames it is the first. With `side`, a JPEG may be decoded at a half, a quarter or an eighth of its size,
    as long as no side falls below that number. Raises `NotAPicture`.
    """
    with _opened(content) as image:
        if side is not None:
            image.draft(None, (side, side))
        image.load()
        return _plain(ImageOps.exif_transpose(image))


def measure_picture(content: bytes) -> tuple[int, int, int]:
    """Return (height, width, channels) of a picture upright, 1 channel where it is grey; all of it is decoded once.

    Raises `NotAPicture`.
    """
    with _opened(content) as image:
        width, height = image.size
        if image.getexif().get(ORIENTATION) in TURNED:
            width, height = height, width
        image.draft(None, (1, 1))
        image.load()
        return height, width, 1 if is_grey(_plain(image)) else 3


@contextmanager
def _opened(content: bytes) -> Iterator[Image.Image]:
    """Open a picture after checking its size. Raises `NotAPicture`, also for errors inside the block."""
    try:
        with Image.open(BytesIO(content), formats=FORMATS) as image:
            _require_size(image.size)
            yield image
    except (NotAPicture, MemoryError):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise NotAPicture(f"has more than {MAX_PIXELS:,} pixels: make it smaller") from None
    except Exception as error:  # Pillow documents none: OSError, SyntaxError, ValueError, struct.error, … were all seen
        raise NotAPicture(f"is no picture that can be read ({_reason(error)}): save it as {FORMATS[0]}") from error


def _require_size(size: tuple[int, int]) -> None:
    """Raise `NotAPicture` for more than `MAX_PIXELS`, before they are decoded."""
    width, height = size
    if width * height > MAX_PIXELS:
        raise NotAPicture(f"has {width:,} × {height:,} pixels, more than {MAX_PIXELS:,}: make it smaller")


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "its content is of none of the formats"
    return str(error).partition("\n")[0][:100] or type(error).__name__


def _plain(image: Image.Image) -> Image.Image:
    """Return a picture in one of the modes L, RGB, RGBA and F."""
    if image.mode == "F":
        raise NotAPicture("has pixels of floating point: save it with 8 or 16 bits for each channel")
    if image.mode.startswith("I"):
        return Image.fromarray((np.clip(np.asarray(image), 0, 65535) / SIXTEEN_BITS).astype(np.float32))
    if image.has_transparency_data:
        return image.convert("RGBA")
    if image.mode == "1":
        return image.convert("L")
    return image if image.mode in ("L", "RGB") else image.convert("RGB")


def is_grey(image: Image.Image) -> bool:
    """Return whether all channels of a picture are equal, so that one is enough."""
    if image.mode in ("L", "F"):
        return True
    red, green, blue = image.split()[:3]
    return red.tobytes() == green.tobytes() == blue.tobytes()


def pixels_of(
    image: Image.Image, size: tuple[int, int], color: Color, fit: Fit, background: int
) -> NDArray[np.float32]:
    """Return the pixels of a picture `(height, width, channels)`, from 0 to 255.

    `size` is (height, width). Transparent parts and padding get the grey `background`. Sizes are changed by linear
    interpolation, averaged over the pixels that become one.
    """
    opaque = _on_background(image, background)
    coloured = opaque if opaque.mode == "F" else opaque.convert("L" if color == "grey" else "RGB")
    pixels = np.asarray(_resized(coloured, (size[1], size[0]), fit, background), np.float32)
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[..., None], CHANNELS[color], axis=2)
    return pixels


def _on_background(image: Image.Image, background: int) -> Image.Image:
    if image.mode != "RGBA":
        return image
    below = Image.new("RGBA", image.size, (background, background, background, 255))
    return Image.alpha_composite(below, image).convert("RGB")


def _resized(image: Image.Image, size: tuple[int, int], fit: Fit, background: int) -> Image.Image:
    if image.size == size:
        return image
    if fit == "stretch":
        return image.resize(size, Image.Resampling.BILINEAR)
    if fit == "crop":
        return ImageOps.fit(image, size, Image.Resampling.BILINEAR)
    color = background if image.mode in ("L", "F") else (background, background, background)
    return ImageOps.pad(image, size, Image.Resampling.BILINEAR, color=color)
