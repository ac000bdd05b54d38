"""Rows without a target are left out, as if the file did not have them."""

from typing import Any

import pytest

from tests.api.conftest import Api


def lines(missing: bool, kind: str) -> str:
    """Return a table, in which every fifth row has no target or is not there."""
    rows = []
    for number in range(100):
        target = {"number": f"{number % 7 + 0.5}", "class": "abc"[number % 3]}[kind]
        if number % 5:
            rows.append(f"{number % 11},{number % 4},{target}")
        elif missing:
            rows.append(f"{number % 11},{number % 4},")
    return "\n".join(["size,color,price", *rows])


def job_of(api: Api, table: str, **data: Any) -> dict[str, Any]:
    found = api.client.post("/v1/datasets", content=table, headers={"Content-Type": "text/csv"}).json()
    source = {"type": "dataset", "id": found["id"], "target": "price"} | data
    layers = [{"type": "dense", "units": 8, "activation": "relu"}, {"type": "dense", "units": (data and 3) or 1}]
    return api.trained(data=source, architecture={"layers": layers}, loss=None, training={"epochs": 3, "batch_size": 8})


@pytest.mark.parametrize(
    ("kind", "data"),
    [("number", {}), ("class", {"validation": {"fraction": 0.25, "stratify": True}})],
    ids=["numbers", "classes"],
)
def test_rows_without_a_target_change_nothing(api: Api, kind: str, data: dict[str, Any]) -> None:
    with_gaps, without = (job_of(api, lines(missing, kind), **data) for missing in (True, False))
    assert with_gaps["status"] == without["status"] == "succeeded"
    assert with_gaps["weights_sha256"] == without["weights_sha256"]
    assert (with_gaps["latest"], with_gaps["progress"]["step"]) == (without["latest"], without["progress"]["step"])
    (warning,) = with_gaps["warnings"]
    assert (warning["code"], warning["pointer"]) == ("target_missing", "/data/target")
    assert 'column "price" is missing in 20 of 100 rows' in warning["message"]
    if data:
        rows = api.client.get(f"/v1/jobs/{with_gaps['id']}/split?part=train&limit=1000").json()
        held = api.client.get(f"/v1/jobs/{with_gaps['id']}/split?part=validation&limit=1000").json()
        assert sorted(rows["items"] + held["items"]) == [row for row in range(100) if row % 5]


def test_column_without_any_target_is_refused(embedded: Api) -> None:
    table = "size,price\n" + "\n".join(f"{number}," for number in range(9))
    found = embedded.client.post("/v1/datasets", content=table, headers={"Content-Type": "text/csv"}).json()
    body = {"data": {"type": "dataset", "id": found["id"], "target": "price"}}
    answer = embedded.client.post("/v1/jobs", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/data/target")
