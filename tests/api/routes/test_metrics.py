"""Stored metric rows: pages, filters, and downsampled series for charts."""

import csv
import io
import tracemalloc
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import delete, text, update

from core.store import tables
from core.store.events import MetricRow
from tests.api.claimed_jobs import claimed_job_with
from tests.api.conftest import Api


@pytest.fixture(scope="module")
def trained(api: Api) -> dict[str, Any]:
    """Train a job to its end."""
    return api.trained()


def test_metrics_are_paged_by_seq(client: TestClient, trained: dict[str, Any]) -> None:
    every = client.get(f"/v1/jobs/{trained['id']}/metrics?limit=10000").json()
    assert every["next_after"] is None
    rows, after = [], 0
    while after is not None:
        page = client.get(f"/v1/jobs/{trained['id']}/metrics?limit=70&after={after}").json()
        rows += page["items"]
        after = page["next_after"]
    assert rows == every["items"]
    loss = [row for row in rows if row["name"] == "loss"]
    assert [row["step"] for row in loss] == list(range(1, 101))
    assert set(loss[0]) == {"seq", "step", "epoch", "split", "name", "value", "at"}


def test_metrics_are_filtered_by_name_and_split(client: TestClient, trained: dict[str, Any]) -> None:
    rows = client.get(f"/v1/jobs/{trained['id']}/metrics?name=loss&split=train").json()["items"]
    assert {(row["name"], row["split"]) for row in rows} == {("loss", "train")}


@pytest.mark.parametrize("query", ["name=lss", "name=val_loss", "name=lss&points=10", "name=confusion_matrix"])
def test_unknown_metric_is_refused_with_the_names_there_are(
    client: TestClient, trained: dict[str, Any], query: str
) -> None:
    answer = client.get(f"/v1/jobs/{trained['id']}/metrics?{query}")
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["parameter"] == "name"
    assert error["message"].endswith("use one of epoch_loss, learning_rate, loss, mean_absolute_error")


def test_metric_of_a_job_that_has_not_begun_may_still_come(api: Api, client: TestClient) -> None:
    job = api.post()["id"]
    for name in ("loss", "val_accuracy", "layers/0/kernel/norm"):
        assert client.get(f"/v1/jobs/{job}/metrics?name={name}").json()["items"] == []
    answer = client.get(f"/v1/jobs/{job}/metrics?name=lss")
    assert (answer.status_code, answer.json()["errors"][0]["message"]) == (
        422, "is no metric of this job: it has none yet"
    )  # fmt: skip


def test_unknown_split_is_refused_with_the_one_that_is_meant(client: TestClient, trained: dict[str, Any]) -> None:
    answer = client.get(f"/v1/jobs/{trained['id']}/metrics?split=valid")
    assert "did you mean validation?" in answer.json()["errors"][0]["message"]


def test_pages_of_csv_have_the_rows_of_json(client: TestClient, trained: dict[str, Any]) -> None:
    address, rows = f"/v1/jobs/{trained['id']}/metrics", []
    expected = client.get(f"{address}?limit=10000").json()["items"]
    page = f"{address}?limit=150"
    while page:
        answer = client.get(page, headers={"Accept": "text/csv"})
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        found = list(csv.DictReader(io.StringIO(answer.text, newline="")))
        rows += found
        page = answer.links["next"]["url"] if "next" in answer.links else ""
    assert len(rows) == len(expected)
    for row, item in zip(rows, expected, strict=True):
        assert row.pop("nonfinite") == ""
        assert row == {name: str(value) for name, value in item.items()}


def test_points_downsamples_each_series(client: TestClient, trained: dict[str, Any]) -> None:
    rows = client.get(f"/v1/jobs/{trained['id']}/metrics?points=10").json()["items"]
    assert [row["seq"] for row in rows] == sorted({row["seq"] for row in rows})
    loss = [row for row in rows if row["name"] == "loss"]
    assert len(loss) <= 10
    assert (loss[0]["step"], loss[-1]["step"]) == (1, 100)


ROWS = 60_000
INSERT_ROWS = text(
    "WITH RECURSIVE numbers(n) AS (SELECT 3 UNION ALL SELECT n + 1 FROM numbers WHERE n < :rows + 2) "
    "INSERT INTO events (job_id, seq, kind, step, epoch, split, name, value, at) "
    "SELECT :job, n, 'metric', n, 1, 'train', 'loss', n % 1000, 0 FROM numbers"
)


def test_downsampling_a_long_series_takes_little_memory(api: Api, client: TestClient) -> None:
    job = claimed_job_with(api, [])
    with api.services.database.begin() as s:
        s.execute(INSERT_ROWS, {"job": job, "rows": ROWS})
        s.execute(update(tables.Job).where(tables.Job.id == job).values(last_seq=ROWS + 2))
    tracemalloc.start()
    rows = client.get(f"/v1/jobs/{job}/metrics?points=100").json()["items"]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (len(rows), rows[0]["seq"], rows[-1]["seq"]) == (100, 3, ROWS + 2)
    assert peak < 12e6
    with api.services.database.begin() as s:
        s.execute(delete(tables.Event).where(tables.Event.job_id == job))


def test_nonfinite_value_is_null_with_its_name(api: Api, client: TestClient) -> None:
    job = claimed_job_with(api, [MetricRow(1, 1, "train", "loss", float("nan")), MetricRow(2, 1, "train", "loss", 1.0)])
    first, second = client.get(f"/v1/jobs/{job}/metrics").json()["items"]
    assert (first["value"], first["nonfinite"]) == (None, "nan")
    assert (second["value"], "nonfinite" in second) == (1.0, False)
