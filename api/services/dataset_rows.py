"""Pages of a dataset's rows as JSON. Reading one may take long, since the rows before it are read too."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import pydantic_core

from core.data import readers
from core.data.schema import Schema

MAX_PAGE_CELLS = 100_000
"""Values of a page, unless a single row has more."""
FILES = ("image", "audio")
"""Types of columns of which a page has the names."""
LIGHT_CELLS = 100_000
"""Values of a dataset that is read at once; a larger one is read by a process of the compute pool."""
LIGHT_BYTES = 2**20
"""Bytes of such a dataset."""


@dataclass(frozen=True, slots=True)
class RowsPage:
    """A page of a stored dataset; `limit` is the maximum number of rows."""

    path: Path
    columns: dict[str, Any]
    """The schema as stored."""
    bytes: int
    rows: int
    offset: int
    limit: int

    @property
    def light(self) -> bool:
        """Whether reading any page takes a few milliseconds."""
        return self.bytes <= LIGHT_BYTES and self.rows * row_values(Schema.from_json(self.columns)) <= LIGHT_CELLS


def page_json(page: RowsPage) -> Iterator[bytes]:
    """Yield the page as JSON, cut to `MAX_PAGE_CELLS` values; `next_offset` is where the next one begins."""
    schema = Schema.from_json(page.columns)
    limit = min(page.limit, max(1, MAX_PAGE_CELLS // max(1, row_values(schema))))
    items = readers.rows(page.path, schema, page.offset, limit) if page.offset < page.rows else []
    end = page.offset + limit
    yield b'{"items":['
    for number, item in enumerate(items):
        yield (b"," if number else b"") + pydantic_core.to_json(item, inf_nan_mode="null")
    yield b'],"next_offset":%s}' % (b"%d" % end if end < page.rows else b"null")


def row_values(schema: Schema) -> int:
    """Return the number of values of one row."""
    return sum(1 if column.type in FILES else prod(column.shape) for column in schema.columns)
