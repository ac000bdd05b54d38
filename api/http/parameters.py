"""Query parameters that several routes share."""

from typing import Annotated

from fastapi import Query

NO_NUL = r"^[^\x00]*$"  # Postgres cannot compare with it

Limit = Annotated[int, Query(ge=1, le=100, description="How many at most.")]
Cursor = Annotated[str | None, Query(max_length=500, pattern=NO_NUL, description="`next_cursor` of the page before.")]
Text = Annotated[str | None, Query(max_length=500, pattern=NO_NUL)]
