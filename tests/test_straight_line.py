"""The path of one job through all processes, step by step: embedded, and on Postgres and Redis.

HTTP body → `JobSpec` → row → notification → claim by a worker → training in `core.nn` → metric rows → event stream →
prediction.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from core.data.prepare import prepare, signature
from core.jobs.cadence import Cadence
from core.jobs.examples import DOUBLING
from core.jobs.resolve import resolve
from core.jobs.spec import JobSpec
from core.nn.step.state import start
from core.nn.training.learner import Learner
from core.store import checkpoints, events, jobs
from core.store.database import open_database
from core.store.scope import EVERYTHING
from harness.backends import postgres_database, redis_database
from harness.processes import Processes, processes


@pytest.fixture(params=["embedded", "postgres+redis"])
def machine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Processes]:
    """Set up processes, not started yet, embedded or on Postgres and Redis."""
    if request.param == "embedded":
        with processes(tmp_path) as running:
            yield running
    else:
        with (
            postgres_database() as database,
            redis_database() as broker,
            processes(tmp_path, database_url=database, broker_url=broker) as running,
        ):
            yield running


def test_job_from_request_to_prediction(machine: Processes) -> None:
    machine.start_api()
    database = open_database(machine.settings.resolved_database_url)
    with httpx.Client(base_url=machine.url, timeout=30) as client:
        # HTTP body → JobSpec → a row
        answer = client.post("/v1/jobs", json=DOUBLING)
        assert answer.status_code == 201, answer.text
        job_id = answer.json()["id"]
        assert answer.headers["Location"].endswith(job_id)
        spec = JobSpec.model_validate_json(json.dumps(DOUBLING))
        with database.read() as s:
            row = jobs.get(s, EVERYTHING, job_id)
            assert JobSpec.model_validate_json(jobs.spec(s, EVERYTHING, job_id).json) == spec
        assert (row.status, row.worker, row.fence) == ("queued", None, 0)

        # the row is queued until a notification, or the lease collector, makes a worker claim it
        machine.start_worker()
        machine.until(lambda: client.get(f"/v1/jobs/{job_id}").json()["status"] == "succeeded", "the job succeeds")
        job = client.get(f"/v1/jobs/{job_id}").json()
        assert job["stop_reason"] == "epochs_completed"
        assert [each["status"] for each in job["transitions"]] == ["queued", "running", "succeeded"]

        # core.nn trains: the rows equal those of a training without the service
        data_signature = signature(spec.data, None)
        resolved = resolve(spec, data_signature)
        state = start(resolved.network, spec.optimizer, spec.training.seed)
        data = resolved.fit(prepare(spec.data, None, spec.training.seed))
        results = Learner(resolved.network, resolved.loss, spec.optimizer, resolved.training, data, state).train()
        cadence = Cadence.of(resolved.training, data_signature.train_rows)
        expected = cadence.rows(results)
        with database.read() as s:
            assert [tuple(row) for row in events.stored_rows(s, job_id, 0, len(expected) + 1)] == expected
            latest = checkpoints.latest(s, job_id)
        assert latest is not None
        assert job["weights_sha256"] == latest.weights_sha256

        # the stream: every event in order, and the events after n on reconnection
        rows = [json.loads(line) for line in stream(client, job_id, after=0)]
        assert [row["seq"] for row in rows] == list(range(1, len(rows) + 1))
        streamed = [tuple(row[key] for key in ("step", "epoch", "split", "name", "value")) for row in rows[2:-1]]
        assert streamed == expected
        assert rows[-1]["status"] == "succeeded"
        assert [json.loads(line) for line in stream(client, job_id, after=300)] == rows[300:]

        # a prediction
        answer = client.post(f"/v1/jobs/{job_id}/predictions", json={"instances": [[6]]})
        assert answer.json()["predictions"][0]["value"] == pytest.approx(12, abs=1e-4)
    database.close()


def stream(client: httpx.Client, job_id: str, after: int) -> list[str]:
    """Return the lines of the job's event stream up to its end."""
    headers = {"Accept": "application/jsonl"}
    answer = client.get(f"/v1/jobs/{job_id}/events", params={"after": after}, headers=headers)
    assert answer.status_code == 200
    return answer.text.splitlines()
