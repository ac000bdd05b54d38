"""The summary of a column of files: sizes and channels of pictures, durations and rates of recordings."""

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.data.files.pictures import measure_picture
from core.data.files.recordings import recording_header
from core.data.files.values import Pixels
from core.data.profile.texts import spread

MAX_FILES = 100
"""Files of a column that are opened."""


def summarize_pictures(files: NDArray[Any]) -> dict[str, Any]:
    """Return heights and widths in pixels, and how many pictures have 1 or 3 channels, of some of the files `(n,)`."""
    shapes = [_picture_shape(file) for file in evenly(files)]
    heights, widths, channels = zip(*shapes, strict=True)
    found = {"opened": len(shapes), "heights": spread(heights), "widths": spread(widths)}
    return {"pictures": found | {"channels": _counts(channels)}}


def summarize_recordings(files: NDArray[Any]) -> dict[str, Any]:
    """Return durations in seconds, and how many recordings have each rate and number of channels."""
    headers = [recording_header(file.read()) for file in evenly(files)]
    seconds, rates, channels = zip(*headers, strict=True)
    found = {"opened": len(headers), "seconds": spread(seconds), "rates": _counts(rates)}
    return {"recordings": found | {"channels": _counts(channels)}}


def evenly(files: NDArray[Any]) -> list[Any]:
    """Return at most `MAX_FILES` of the files, evenly distributed."""
    places = np.linspace(0, len(files) - 1, min(MAX_FILES, len(files))).round().astype(int)
    return [files[place] for place in places]


def _picture_shape(file: Any) -> tuple[int, int, int]:
    if isinstance(file, Pixels):
        height, width, *channels = file.array.shape
        return height, width, (channels or [1])[0]
    return measure_picture(file.read())


def _counts(values: Any) -> list[dict[str, Any]]:
    return [{"value": float(value), "count": count} for value, count in Counter(values).most_common(10)]
