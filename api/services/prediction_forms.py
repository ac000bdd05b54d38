"""Predictions as JSON or as CSV, written block by block."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from api.http import csv
from api.http.responses import json_bytes

Blocks: TypeAlias = Iterable[list[dict[str, Any]]]
"""The predictions, a list of them at a time; each has the same fields."""
Writer: TypeAlias = Callable[[Blocks, Mapping[str, Any]], Iterator[bytes]]
"""Writes predictions, and the checkpoint where the media type has a place for it."""


def json_pieces(blocks: Blocks, checkpoint: Mapping[str, Any]) -> Iterator[bytes]:
    """Yield `{"predictions": […], "checkpoint": {…}}`."""
    separator = b'{"predictions":['
    for predictions in blocks:
        yield separator + json_bytes(predictions)[1:-1]
        separator = b","
    yield b'],"checkpoint":' + json_bytes(checkpoint) + b"}"


def csv_pieces(blocks: Blocks, _checkpoint: Mapping[str, Any]) -> Iterator[bytes]:
    """Yield a header and one line per instance. The fields of JSON are the columns, such as `probabilities.yes`."""
    begun = False
    for predictions in blocks:
        rows = [csv.flat(prediction) for prediction in predictions]
        if not begun:
            yield csv.csv_table([rows[0]])
        begun = True
        yield csv.csv_table(row.values() for row in rows)


WRITERS: Mapping[str, Writer] = {"application/json": json_pieces, csv.MEDIA_TYPE: csv_pieces}
"""The writers by the media type of the answer."""
