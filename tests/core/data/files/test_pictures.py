"""Tests of core/data/files/pictures.py: every mode and format of picture becomes the pixels that a person sees."""

import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from core.data.files.pictures import FORMATS, NotAPicture, measure_picture, pixels_of, read_picture
from tests.core.data.files.media import grey, picture

RED = np.full((4, 6, 3), (255, 0, 0), np.uint8)


def pixels(content: bytes, size: Any = (4, 6), color: Any = "rgb", fit: Any = "stretch", background: int = 255) -> Any:
    return pixels_of(read_picture(content), size, color, fit, background)


def modes() -> dict[str, tuple[Image.Image, str, Any, Any]]:
    """Return for each mode an image of one color, a format that holds it, its RGB pixels and its channels."""
    rgb = Image.fromarray(RED)
    half = np.full((4, 6), 32768, np.uint16)
    clear = rgb.convert("RGBA")
    clear.putalpha(0)
    palette = rgb.convert("P")
    keyed = rgb.convert("P")
    keyed.info["transparency"] = keyed.getpixel((0, 0))
    return {
        "1": (Image.new("1", (6, 4), 1), "PNG", (255, 255, 255), 1),
        "L": (Image.new("L", (6, 4), 7), "PNG", (7, 7, 7), 1),
        "LA": (Image.new("LA", (6, 4), (7, 255)), "PNG", (7, 7, 7), 1),
        "RGB": (rgb, "PNG", (255, 0, 0), 3),
        "RGBA, clear": (clear, "PNG", (255, 255, 255), 3),
        "palette": (palette, "PNG", (255, 0, 0), 3),
        "palette, clear": (keyed, "PNG", (255, 255, 255), 3),
        "CMYK": (Image.new("CMYK", (6, 4), (0, 255, 255, 0)), "TIFF", (255, 0, 0), 3),
        "YCbCr": (rgb.convert("YCbCr"), "TIFF", (255, 0, 0), 3),
        "16 bits, PNG": (Image.fromarray(half), "PNG", (32768 / 257,) * 3, 1),
        "16 bits, TIFF": (Image.fromarray(half), "TIFF", (32768 / 257,) * 3, 1),
    }


@pytest.mark.parametrize("name", modes())
def test_every_mode_is_read_as_it_is_seen(name: str) -> None:
    image, form, expected, channels = modes()[name]
    content = picture(image, form)
    np.testing.assert_allclose(pixels(content), np.broadcast_to(np.float32(expected), (4, 6, 3)), atol=1.5)
    assert measure_picture(content) == (4, 6, channels)


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_is_read(form: str) -> None:
    content = picture(RED, form)
    np.testing.assert_allclose(pixels(content), RED, atol=3)
    assert measure_picture(content) == (4, 6, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_upright(orientation: int) -> None:
    upright = np.arange(6, dtype=np.uint8).reshape(2, 3) * 40
    stored = {
        1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1],
        5: upright.T, 6: upright.T[::-1], 7: upright.T[::-1, ::-1], 8: upright.T[:, ::-1],
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = picture(stored.copy(), exif=exif)
    np.testing.assert_array_equal(pixels(content, (2, 3), "grey")[..., 0], upright)
    assert measure_picture(content) == (2, 3, 1)


def test_16_bits_keep_their_precision() -> None:
    content = picture(Image.fromarray(np.array([[0, 257, 258]], np.uint16)))
    np.testing.assert_allclose(pixels(content, (1, 3), "grey").ravel(), [0, 1, 258 / 257], rtol=1e-6)


def test_grey_has_the_weights_of_the_standard() -> None:
    colors = np.eye(3, dtype=np.uint8)[None] * 200
    np.testing.assert_allclose(pixels(picture(colors), (1, 3), "grey").ravel(), [59.8, 117.4, 22.8], atol=0.6)


def test_sizes_are_fitted() -> None:
    content = picture(np.repeat([[0, 90, 180, 255]], 2, axis=0))  # 2 × 4
    assert pixels(content, (1, 2), "grey").shape == (1, 2, 1)
    np.testing.assert_allclose(pixels(content, (2, 2), "grey", "crop")[0, :, 0], [90, 180])
    padded = pixels(content, (4, 4), "grey", "pad", background=7)[..., 0]
    np.testing.assert_allclose(padded[:, 0], [7, 0, 0, 7])


def test_a_large_jpeg_is_decoded_at_part_of_its_size() -> None:
    content = picture(np.zeros((256, 512), np.uint8), "JPEG")
    assert read_picture(content, side=32).size == (64, 32)
    assert read_picture(content).size == (512, 256)
    assert measure_picture(content) == (256, 512, 1)


def png_of(width: int, height: int) -> bytes:
    """Return a PNG file that declares so many pixels, and has few bytes of them."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + data + chunk(b"IEND", b"")


BAD = {
    "empty": (b"", "is no picture that can be read"),
    "text": (b"hello", "its content is of none of the formats"),
    "cut off": (picture(np.random.default_rng(0).integers(0, 255, (40, 40)))[:-400], "is no picture that can be read"),
    "60,000 pixels a side": (png_of(60_000, 60_000), "more than 33,554,432 pixels"),
    "above the limit": (png_of(6000, 6000), "has 6,000 × 6,000 pixels, more than 33,554,432"),
    "above Pillow's warning": (png_of(10_000, 10_000), "more than 33,554,432"),
    "few bytes for its pixels": (png_of(3000, 3000), "is no picture that can be read"),
    "EPS": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "its content is of none of the formats"),
    "float": (picture(Image.new("F", (2, 2)), "TIFF"), "pixels of floating point"),
    "no pixels": (png_of(0, 5), "is no picture that can be read"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_picture_is_refused(name: str) -> None:
    content, message = BAD[name]
    for read in (read_picture, measure_picture):
        with pytest.raises(NotAPicture, match=message):
            read(content)


def test_one_pixel_is_a_picture() -> None:
    assert measure_picture(grey(9, 1, 1)) == (1, 1, 1)
    assert (pixels(grey(9, 1, 1), (3, 3), "grey") == 9).all()
