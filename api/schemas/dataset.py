"""A dataset as JSON."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field

from api.schemas.values import rfc3339
from core.store import tables


class Column(BaseModel):
    """One column of a dataset, with its statistics."""

    name: str
    type: str
    rows: int
    missing: int
    min: float | None
    max: float | None
    mean: float | None
    std: float | None
    integers: bool
    distinct: int | None
    classes: dict[str, int] | None = Field(description="Number of rows of each class, if there are few classes.")
    shape: list[int] = Field(description="Shape of one row of an array; empty for scalar values.")
    date_format: str | None = Field(default=None, description="How the dates of a column are written, or `iso`.")
    names_rows: bool = Field(
        default=False, description="Whether the column only names the rows: it is no feature unless a spec names it."
    )


class ReadAs(BaseModel):
    """An option by which the file was read."""

    value: bool | int | str | list[str] | None
    reason: str = Field(description="Why: said with the upload, or what in the file decided it.")


class DatasetWarning(BaseModel):
    """What was assumed about a file and could be wrong."""

    code: str
    pointer: str = Field(description="JSON pointer into the dataset.")
    message: str = Field(description="What was assumed, and how to say otherwise.")


class Dataset(BaseModel):
    """An uploaded dataset."""

    id: str
    name: str | None
    format: str
    sha256: str
    bytes: int
    rows: int
    columns: list[Column]
    read_as: dict[str, ReadAs] = Field(description="Of CSV: each option of its reading.")
    warnings: list[DatasetWarning]
    created_at: str


class DatasetRows(BaseModel):
    """A page of a dataset's rows, as stored."""

    items: list[dict[str, Any]]
    next_offset: int | None = Field(description="`?offset=` of the next page; null on the last page.")


def dataset_view(row: tables.Dataset) -> Dataset:
    """Return the view of a dataset."""
    return Dataset(
        id=row.id,
        name=row.name,
        format=row.format,
        sha256=row.sha256,
        bytes=row.bytes,
        rows=row.rows,
        columns=[_column(column) for column in row.columns["columns"]],
        read_as=row.columns.get("read_as", {}),
        warnings=row.columns.get("warnings", []),
        created_at=rfc3339(row.created_at),
    )


def _column(column: Mapping[str, Any]) -> Column:
    return Column(**{**column, "classes": dict(column["classes"]) or None})
