"""Query parameters and headers that several routes share. Each has a bound."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated

from fastapi import Header, Query

from api.http.patterns import NO_NUL, VISIBLE_ASCII

OTHER_NAMES: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("pagesize", "perpage", "count", "size", "top", "maxresults", "first"), "limit"),
        **dict.fromkeys(("page", "pagetoken", "nextcursor", "startingafter", "skip"), "cursor"),
        **dict.fromkeys(("state", "phase"), "status"),
        **dict.fromkeys(("checkpoint", "weight"), "weights"),
        **dict.fromkeys(("filetype", "contenttype", "type"), "format"),
        **dict.fromkeys(("since", "fromseq", "startafter"), "after"),
    }
)
"""Parameters, by what other services call them, written as `core.spelling.plain` does."""

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
