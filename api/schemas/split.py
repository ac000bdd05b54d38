"""The response that lists the rows of one part of a job's split."""

from pydantic import BaseModel, Field

from api.schemas.job import Split


class SplitRows(BaseModel):
    """A page of the rows in one part of a job's split."""

    part: Split
    total: int = Field(description="All rows of the part.")
    items: list[int] = Field(description="Numbers of rows in the job's data, from 0, in ascending order.")
    next_after: int | None = Field(description="`after` of the next page; null on the last one.")
