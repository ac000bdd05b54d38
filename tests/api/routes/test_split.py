"""Splits over HTTP: which rows each part has, and the metrics of the test rows."""

from typing import Any

import pytest

from tests.api.conftest import Api

TABLE = "age,city,day,part,pay\n" + "".join(
    f"{20 + row},c{row % 4},{100 - row},{'ttvvnnnn'[row % 8]},{row}\n" for row in range(40)
)
CITY = {row: row % 4 for row in range(40)}
HELD = {"validation": 0.25, "test": 0.25}
SPLITS: list[dict[str, Any]] = [
    {"type": "fraction", **HELD},
    {"type": "group", "column": "city", **HELD},
    {"type": "time", "column": "day", **HELD},
    {"type": "column", "column": "part", "validation": ["v"], "test": ["t"]},
]
SHORT = {"epochs": 3, "batch_size": 8, "metrics": ["mean_absolute_error"]}


def upload(api: Api) -> str:
    """Upload the table and return its id."""
    answer = api.client.post("/v1/datasets", content=TABLE, headers={"Content-Type": "text/csv"})
    return str(answer.raise_for_status().json()["id"])


def rows(api: Api, job: dict[str, Any], part: str, **query: Any) -> dict[str, Any]:
    """Return a page of the rows in a part."""
    answer = api.client.get(f"/v1/jobs/{job['id']}/split", params={"part": part, **query})
    return dict(answer.raise_for_status().json())


@pytest.mark.parametrize("split", SPLITS, ids=lambda split: str(split["type"]))
def test_job_with_a_split_lists_its_rows_and_tests_once(api: Api, split: dict[str, Any]) -> None:
    data = {"type": "dataset", "id": upload(api), "target": "pay", "split": split}
    job = api.trained(data=data, training=SHORT)
    assert (job["status"], job["error"]) == ("succeeded", None)
    parts = {part: rows(api, job, part)["items"] for part in ("train", "validation", "test")}
    assert sorted(row for found in parts.values() for row in found) == list(range(40))
    assert all(parts.values())
    if split["type"] == "group":
        cities = [{CITY[row] for row in found} for found in parts.values()]
        assert sum(map(len, cities)) == 4
    tested = api.client.get(f"/v1/jobs/{job['id']}/metrics", params={"split": "test"}).json()["items"]
    assert [(row["name"], row["epoch"]) for row in tested] == [("test_loss", 3), ("test_mean_absolute_error", 3)]
    assert job["latest"]["test_loss"] == tested[0]["value"]
    assert (job["progress"]["fraction"], job["progress"]["step"]) == (1.0, 3 * -(-len(parts["train"]) // 8))


def test_test_metric_is_that_of_the_predictions(api: Api) -> None:
    x = [[float(n)] for n in range(20)]
    data = {"type": "inline", "x": x, "y": [2 * row[0] + 1 for row in x], "split": {"type": "fraction", **HELD}}
    job = api.trained(data=data, training=SHORT)
    held = rows(api, job, "test")["items"]
    answer = api.client.post(f"/v1/jobs/{job['id']}/predictions", json={"instances": [x[row] for row in held]}).json()
    errors = [abs(one["value"] - (2 * row + 1)) for one, row in zip(answer["predictions"], held, strict=True)]
    assert job["latest"]["test_mean_absolute_error"] == pytest.approx(sum(errors) / len(errors), rel=1e-5)


def test_rows_come_in_pages(api: Api) -> None:
    job = api.post(data={"type": "builtin", "name": "moons", "rows": 50, "validation": {"fraction": 0.2}})
    whole = rows(api, job, "train")
    assert (whole["total"], len(whole["items"]), whole["next_after"]) == (40, 40, None)
    found: list[int] = []
    after: int | None = -1
    while after is not None:
        page = rows(api, job, "train", after=after, limit=15)
        found, after = found + page["items"], page["next_after"]
    assert found == whole["items"]
    assert rows(api, job, "test") == {"part": "test", "total": 0, "items": [], "next_after": None}


@pytest.mark.parametrize(
    ("split", "pointer", "message"),
    [
        ({"type": "group", "column": "town", "test": 0.2}, "/data/split/column", 'there is no "town"'),
        ({"type": "group", "column": "part", "validation": 0.5, "test": 0.5}, "/data/split", "with a sum below 1"),
        ({"type": "column", "column": "part", "test": ["x"]}, "/data/split", "give values that the column part has"),
        ({"type": "fraction"}, "/data/split", "must hold out some rows"),
        ({"type": "fraction", "test": 0.001}, "/data/split", "leaves 40 rows for training"),
    ],
)
def test_split_that_cannot_be_made_is_refused(api: Api, split: Any, pointer: str, message: str) -> None:
    data = {"type": "dataset", "id": upload(api), "target": "pay", "split": split}
    answer = api.client.post(
        "/v1/jobs", json={"data": data, "architecture": {"layers": [{"type": "dense", "units": 1}]}}
    )
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["pointer"] == pointer
    assert message in error["message"]


def test_monitor_of_the_test_rows_is_refused(api: Api) -> None:
    training = {"epochs": 2, "early_stopping": {"monitor": "test_loss"}}
    data = {"type": "builtin", "name": "moons", "split": {"type": "fraction", **HELD}}
    body = {"data": data, "architecture": {"layers": [{"type": "dense", "units": 2}]}, "training": training}
    answer = api.client.post("/v1/jobs", json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/training/early_stopping/monitor"
