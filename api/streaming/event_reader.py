"""Events of the store, encoded for streams."""

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi.sse import format_sse_event

from api.schemas.metrics import metric_view
from api.schemas.values import rfc3339
from api.streaming.hub import EncodedEvent, LogHead
from core.store import events
from core.store.database import Database
from core.store.events import EventRow
from core.store.scope import EVERYTHING


@dataclass(frozen=True)
class StoreEventReader:
    """The hub's `EventReader` over a database. It reads all jobs: the route checks the scope of each listener."""

    database: Database

    def heads(self, job_ids: Collection[str]) -> Mapping[str, LogHead]:
        """Return the log heads of those jobs that exist, in one query."""
        with self.database.read() as s:
            return {
                job_id: LogHead(seq, status) for job_id, (seq, status) in events.heads(s, EVERYTHING, job_ids).items()
            }

    def rows(self, job_id: str, after: int, limit: int) -> list[EncodedEvent]:
        """Return the job's first `limit` events with a greater `seq` than `after`."""
        with self.database.read() as s:
            return [encode(row) for row in events.after(s, EVERYTHING, job_id, after, limit)]


def _data_view(row: EventRow) -> dict[str, Any]:
    return {**(row.data or {}), "seq": row.seq, "at": rfc3339(row.at)}


VIEWS: Mapping[str, Callable[[EventRow], dict[str, Any]]] = {
    "metric": metric_view,
    "status": _data_view,
    "log": _data_view,
}


def encode(row: EventRow) -> EncodedEvent:
    """Return an event as a server-sent event and as a JSON line."""
    content = {"event": row.kind, **VIEWS[row.kind](row)}
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=False)
    sse = format_sse_event(data_str=text, event=row.kind, id=str(row.seq))
    return EncodedEvent(row.seq, sse, text.encode() + b"\n")
