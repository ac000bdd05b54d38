"""Pagination of long lists, newest first. A cursor names the last row of a page, so that new rows shift nothing."""

import base64
import binascii
from typing import TypeVar

from sqlalchemy import Select
from sqlalchemy.orm import InstrumentedAttribute, Session

from core.ids import is_id
from core.store.errors import BadCursor

Row = TypeVar("Row")


def page_of(
    s: Session,
    rows: Select[Row],
    id_column: InstrumentedAttribute[str],
    prefix: str,
    limit: int,
    cursor: str | None,
) -> tuple[list[Row], str | None]:
    """Return up to `limit` of `rows` and the cursor of the next page or None; ids sort by time.

    Raises
    ------
    BadCursor
        If the cursor is not one that a page returned.
    """
    if cursor is not None:
        rows = rows.where(id_column < _decode(prefix, cursor))
    found = list(s.scalars(rows.order_by(id_column.desc()).limit(limit + 1)))
    more = len(found) > limit
    return found[:limit], _encode(getattr(found[limit - 1], id_column.key)) if more else None


def _encode(last: str) -> str:
    return base64.urlsafe_b64encode(last.encode()).decode().rstrip("=")


def _decode(prefix: str, cursor: str) -> str:
    try:
        last = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise BadCursor from error
    if not is_id(prefix, last):
        raise BadCursor
    return last
