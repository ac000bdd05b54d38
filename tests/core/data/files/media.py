"""Pictures and recordings as files, and archives of files."""

import io
import tarfile
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
import soundfile
from PIL import Image


def picture(pixels: Any, form: str = "PNG", **options: Any) -> bytes:
    """Return a file with a picture, from an array of pixels or from a Pillow image."""
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(np.asarray(pixels, np.uint8))
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def grey(value: int, height: int = 2, width: int = 3) -> bytes:
    """Return a PNG file of one grey."""
    return picture(np.full((height, width), value))


def zipped(files: Mapping[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return a zip file."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return file.getvalue()


def tarred(files: Mapping[str, bytes], mode: Any = "w") -> bytes:
    """Return a tar file, with mode `w:gz` a compressed one."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


def recording(samples: Any, rate: int = 8000, form: str = "WAV", subtype: str | None = None) -> bytes:
    """Return a file with a recording, from an array (samples,) or (samples, channels)."""
    file = io.BytesIO()
    soundfile.write(file, np.asarray(samples, np.float32), rate, format=form, subtype=subtype)
    return file.getvalue()


def tone(hertz: float, seconds: float = 0.5, rate: int = 8000) -> Any:
    """Return the samples of a tone."""
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)
