"""Pages of the rows of a job's data that are in one part of its split, as JSON."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from api.http.responses import json_bytes
from api.schemas.job import Split
from api.schemas.split import SplitRows
from core.blobs.storage import open_blobs
from core.data.prepare import split
from core.data.schema import Schema
from core.data.sources.source import StoredDataset
from core.jobs.spec import parse_stored
from core.settings import Settings


@dataclass(frozen=True, slots=True)
class DatasetFile:
    """The file of a job's dataset and its schema, as stored."""

    sha256: str
    columns: dict[str, Any]


@dataclass(frozen=True, slots=True)
class SplitPage:
    """A page of the rows of one part: at most `limit` rows after the row `after`."""

    part: Split
    after: int
    limit: int


def split_rows_json(
    settings: Settings, spec_text: str, dataset: DatasetFile | None, page: SplitPage
) -> Iterator[bytes]:
    """Yield the page as JSON.

    Raises
    ------
    UnknownSpec
        Another version accepted the job's spec.
    BlobError, InvalidFile
        The dataset's file cannot be read.
    """
    spec = parse_stored(spec_text)
    stored = None
    if dataset is not None:
        path = open_blobs(settings).fetch(dataset.sha256)
        stored = StoredDataset(path=path, schema=Schema.from_json(dataset.columns))
    found = getattr(split(spec.data, stored, spec.training.seed), page.part)
    rows = np.array([], np.int64) if found is None else found
    items = rows[np.searchsorted(rows, page.after, "right") :][: page.limit].tolist()
    more = bool(items) and items[-1] != int(rows[-1])
    yield json_bytes(SplitRows(part=page.part, total=len(rows), items=items, next_after=items[-1] if more else None))
