"""Query parameters and headers that several routes share."""

from typing import Annotated

from fastapi import Header, Query

NO_NUL = r"^[^\x00]*$"  # Postgres refuses the NUL character in text

Limit = Annotated[int, Query(ge=1, le=100, description="Maximum number of items.")]
Cursor = Annotated[str | None, Query(max_length=500, pattern=NO_NUL, description="`next_cursor` of the previous page.")]
Text = Annotated[str | None, Query(max_length=500, pattern=NO_NUL)]
After = Annotated[int, Query(ge=0, le=2**53, description="Only rows with a greater `seq`.")]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        pattern=r"^[\x21-\x7e]{1,255}$",
        description="Any text chosen by the client. The same key with the same body returns the first response again.",
    ),
]
