"""Encoding of stored events."""

import json

from api.streaming.event_reader import encode
from core.store import events
from core.store.events import LogRow
from core.store.scope import EVERYTHING
from tests.api.claimed_jobs import claimed_job_with
from tests.api.conftest import Api


def test_log_event_is_encoded_with_its_data(api: Api) -> None:
    job = claimed_job_with(api, [], logs=(LogRow("careful", data={"code": "not_reproduced"}),))
    with api.services.database.read() as s:
        rows = [json.loads(encode(row).json_line) for row in events.after(s, EVERYTHING, job, 0)]
    (log,) = [row for row in rows if row["event"] == "log"]
    assert (log["message"], log["code"]) == ("careful", "not_reproduced")
