"""The list of a job's checkpoints."""

import re

from fastapi.testclient import TestClient

from tests.api.conftest import Api
from tests.api.routes.test_jobs import TIME


def test_checkpoints_are_listed_newest_first(api: Api, client: TestClient) -> None:
    job = api.trained()
    answer = client.get(f"/v1/jobs/{job['id']}/checkpoints").json()
    newest = answer["items"][0]
    assert newest["step"] == 100
    assert newest["weights_sha256"] == job["weights_sha256"]
    assert re.fullmatch("[0-9a-f]{64}", newest["sha256"])
    assert TIME.fullmatch(newest["created_at"])
