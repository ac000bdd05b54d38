"""Query parameters and headers that several routes share. Each has a bound."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated

from fastapi import Header, Query

NO_NUL = r"^[^\x00]*$"  # Postgres refuses the NUL character in text
VISIBLE_ASCII = r"^[\x21-\x7e]{1,255}$"

PATTERN_MESSAGES: Mapping[str, str] = MappingProxyType(
    {
        NO_NUL: "contains the NUL character: remove it",
        VISIBLE_ASCII: "must be 1 to 255 letters, digits and signs of ASCII, without spaces, such as order-42",
    }
)
"""What each pattern of a parameter allows, in words."""

Limit = Annotated[int, Query(ge=1, le=100, description="Maximum number of items.")]
Cursor = Annotated[
    str | None, Query(min_length=1, max_length=500, pattern=NO_NUL, description="`next_cursor` of the previous page.")
]
Text = Annotated[str | None, Query(max_length=500, pattern=NO_NUL)]
After = Annotated[int, Query(ge=0, le=2**53, description="Only rows with a greater `seq`.")]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        pattern=VISIBLE_ASCII,
        description="Any text chosen by the client. The same key with the same body returns the first response again.",
    ),
]
