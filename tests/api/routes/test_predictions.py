"""Predictions: request formats, class names, errors, and predictions during training."""

import csv
import io
import threading
import time
from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from tests.api.conftest import LINE, Api

TABLE = "size,colour,sweet\n" + "".join(
    f"{n % 7},{'red' if n % 2 else 'green'},{'yes' if n % 2 else 'no'}\n" for n in range(60)
)


@pytest.fixture(scope="module")
def line(api: Api) -> str:
    """Train y = 2x."""
    return str(api.trained()["id"])


@pytest.fixture(scope="module")
def classes(api: Api) -> str:
    """Train on a table with classes."""
    dataset = api.client.post("/v1/datasets", content=TABLE, headers={"Content-Type": "text/csv"}).json()["id"]
    spec = {
        "data": {"type": "dataset", "id": dataset, "features": ["size", "colour"], "target": "sweet"},
        "architecture": {"layers": [{"type": "dense", "units": 2}]},
        "optimizer": {"type": "adam", "learning_rate": 0.1},
        "training": {"epochs": 50, "seed": 1},
    }
    job = api.client.post("/v1/jobs", json=spec)
    assert job.status_code == 201, job.text
    api.train()
    return str(job.json()["id"])


def test_y_2x_predicts_12_for_6(client: TestClient, line: str) -> None:
    answer = client.post(f"/v1/jobs/{line}/predictions", json={"instances": [[6], [0]]})
    assert answer.status_code == 200
    first, second = answer.json()["predictions"]
    assert first["value"] == pytest.approx(12, abs=0.05)
    assert second == {"value": 0.0, "warnings": []}
    assert answer.json()["checkpoint"]["step"] == client.get(f"/v1/jobs/{line}").json()["best"]["step"]


def test_sequence_network_predicts_each_step(api: Api) -> None:
    """Train a small language model that predicts the next letter for each letter of a word."""
    words = [[1, 2, 3, 4], [2, 3, 4, 1], [3, 4, 1, 2], [4, 1, 2, 3], [1, 2, 3, 0]]  # 0 is padding
    spec = {
        "data": {"type": "inline", "x": words, "y": [[1 + letter % 4 for letter in word] for word in words]},
        "architecture": {
            "layers": [
                {"type": "embedding", "input_dim": 5, "output_dim": 8, "mask_zero": True},
                {"type": "residual", "layer": {"type": "multi_head_attention", "num_heads": 2, "key_dim": 4,
                                               "causal": True}},
                {"type": "dense", "units": 5},
            ]
        },
        "loss": {"type": "cross_entropy"},
        "optimizer": {"type": "adam", "learning_rate": 0.05},
        "training": {"epochs": 60, "seed": 1},
    }  # fmt: skip
    job = api.client.post("/v1/jobs", json=spec)
    assert job.status_code == 201, job.text
    api.train()
    ended = api.client.get(job.headers["Location"]).json()
    assert ended["latest"]["accuracy"] == 1, ended
    answer = api.client.post(f"{job.headers['Location']}/predictions", json={"instances": [[2, 3, 4, 1]]})
    assert answer.status_code == 200, answer.text
    (word,) = answer.json()["predictions"]
    assert word["label"] == ["3", "4", "1", "2"]
    assert [sum(shares.values()) for shares in word["probabilities"]] == pytest.approx([1, 1, 1, 1])


def npy(array: Any) -> bytes:
    buffer = BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b'{"instances": [[6], [7]]}'),
        ("application/json; charset=utf-8", b'{"instances": [6, 7]}'),
        ("text/csv", b"6\n7\n"),
        ("application/x-npy", npy(np.array([[6.0], [7.0]]))),
        ("application/x-npy", npy(np.array([[6], [7]], np.int32))),
    ],
)
def test_every_media_type_gives_the_same_predictions(client: TestClient, line: str, kind: str, body: bytes) -> None:
    answer = client.post(f"/v1/jobs/{line}/predictions", content=body, headers={"Content-Type": kind})
    assert answer.status_code == 200, answer.text
    assert [one["value"] for one in answer.json()["predictions"]] == pytest.approx([12, 14], abs=0.1)


@pytest.mark.parametrize("rows", [2, 3000], ids=["in a thread", "in a process"])
def test_csv_has_a_header_and_a_line_for_each_instance(client: TestClient, classes: str, rows: int) -> None:
    instances = [{"size": n % 7, "colour": "red"} for n in range(rows)]
    address, body = f"/v1/jobs/{classes}/predictions", {"instances": instances}
    answer = client.post(address, json=body, headers={"Accept": "text/csv"})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    read = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    expected = client.post(address, json=body).json()["predictions"]
    assert [row["label"] for row in read] == [one["label"] for one in expected]
    for name in ("no", "yes"):
        column = [float(row[f"probabilities.{name}"]) for row in read]
        assert column == [one["probabilities"][name] for one in expected]


@pytest.mark.parametrize("accept", ["application/json", "text/csv"])
@pytest.mark.parametrize(
    ("kind", "body"),
    [("text/csv", b"pL\xc3\xb8"), ("text/csv", b"size,colour\n"), ("application/x-npy", npy(np.empty((0, 1))))],
)
def test_body_without_rows_is_refused(
    client: TestClient, line: str, classes: str, kind: str, body: bytes, accept: str
) -> None:
    for job in (line, classes):
        headers = {"Content-Type": kind, "Accept": accept}
        answer = client.post(f"/v1/jobs/{job}/predictions", content=body, headers=headers)
        assert answer.status_code == 422, answer.text


def test_csv_in_and_csv_out(client: TestClient, line: str) -> None:
    headers = {"Content-Type": "text/csv", "Accept": "text/csv;q=0.9, application/json;q=0.1"}
    answer = client.post(f"/v1/jobs/{line}/predictions", content="0\n0\n", headers=headers)
    assert answer.text == "value,warnings\r\n0.0,\r\n0.0,\r\n"


def test_classifier_predicts_class_names(client: TestClient, classes: str) -> None:
    records = [{"size": 3, "colour": "red"}, {"size": "4", "colour": "green"}, {"size": 1, "colour": "blue"}]
    red, green, blue = client.post(f"/v1/jobs/{classes}/predictions", json={"instances": records}).json()["predictions"]
    assert (red["label"], green["label"]) == ("yes", "no")
    assert sum(red["probabilities"].values()) == pytest.approx(1)
    assert (red["warnings"], bool(blue["warnings"])) == ([], True)
    table = client.post(
        f"/v1/jobs/{classes}/predictions", content="size,colour\n3,red\n4,green\n", headers={"Content-Type": "text/csv"}
    )
    assert [one["label"] for one in table.json()["predictions"]] == ["yes", "no"]


BAD: list[tuple[str, Any, int, str, str]] = [
    ("nothing", {}, 422, "invalid_body", "/instances"),
    ("no instances", {"instances": []}, 422, "invalid_body", "/instances"),
    ("a field too many", {"instances": [[1]], "x": 1}, 422, "invalid_body", "/x"),
    ("no list", {"instances": 6}, 422, "invalid_body", "/instances"),
    ("text", {"instances": [[1], ["six"]]}, 422, "invalid_instance", "/instances/1/0"),
    ("too wide", {"instances": [[1, 2]]}, 422, "invalid_instance", "/instances/0"),
    ("null", {"instances": [None]}, 422, "invalid_instance", "/instances/0"),
    ("NaN", b'{"instances": [[NaN]]}', 422, "invalid_body", "/instances/0/0"),
    ("400 digits", b'{"instances": [[' + b"9" * 400 + b"]]}", 422, "invalid_body", "/instances/0/0"),
    ("deep", b'{"instances": ' + b"[" * 5000 + b"]" * 5000 + b"}", 422, "invalid_body", ""),
    ("no JSON", b"6", 422, "invalid_body", ""),
]


@pytest.mark.parametrize(("what", "body", "status", "code", "pointer"), BAD, ids=[row[0] for row in BAD])
def test_invalid_instances_are_refused_with_pointer(
    client: TestClient, line: str, what: str, body: Any, status: int, code: str, pointer: str
) -> None:
    content = (
        {"content": body, "headers": {"Content-Type": "application/json"}}
        if isinstance(body, bytes)
        else {"json": body}
    )
    answer = client.post(f"/v1/jobs/{line}/predictions", **content)
    assert answer.status_code == status, answer.text
    assert answer.json()["code"] == code
    assert pointer in [error.get("pointer") for error in answer.json()["errors"]]


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("application/xml", b"<x>6</x>", 415),
        ("text/plain", b"6", 422),
        ("application/x-npy", b"not npy", 422),
        ("application/x-npy", npy(np.array(6.0)), 422),
        ("application/x-npy", npy(np.array(["a"])), 422),
        ("text/csv", b"1,2\n3\n", 422),
        ("text/csv", b"", 422),
    ],
)
def test_invalid_body_of_another_media_type_is_refused(
    client: TestClient, line: str, kind: str, body: bytes, status: int
) -> None:
    answer = client.post(f"/v1/jobs/{line}/predictions", content=body, headers={"Content-Type": kind})
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


NPY = {"Content-Type": "application/x-npy"}


def test_many_rows_get_the_predictions_of_single_rows(client: TestClient, line: str) -> None:
    rows = np.arange(30_000, dtype=np.float32)[:, None] / 100
    url = f"/v1/jobs/{line}/predictions"
    answer = client.post(url, content=npy(rows), headers=NPY)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert len(body["predictions"]) == len(rows)
    for index in (0, 1023, 1024, 29_999):
        alone = client.post(url, content=npy(rows[index : index + 1]), headers=NPY).json()
        assert alone["predictions"] == body["predictions"][index : index + 1]
        assert alone["checkpoint"] == body["checkpoint"]


def test_wrong_instance_among_many_is_named(client: TestClient, line: str) -> None:
    rows: list[Any] = [[1.5]] * 30_000
    rows[29_000] = ["six"]
    answer = client.post(f"/v1/jobs/{line}/predictions", json={"instances": rows})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_instance")
    assert answer.json()["errors"][0]["pointer"] == "/instances/29000/0"
    assert answer.json()["detail"].startswith("/instances/29000/0: ")


def test_many_rows_fall_back_to_the_previous_checkpoint(api: Api, client: TestClient) -> None:
    first = api.trained(training=LINE["training"] | {"epochs": 2})
    more = client.post(f"/v1/jobs/{first['id']}/continue", json={"epochs": 2}).raise_for_status().json()
    api.train()
    newest, other, *_ = client.get(f"/v1/jobs/{more['id']}/checkpoints").json()["items"]
    path = api.services.blobs.path(newest["sha256"])
    path.chmod(0o600)
    path.write_bytes(b"nothing")
    answer = client.post(f"/v1/jobs/{more['id']}/predictions", content=npy(np.ones((30_000, 1))), headers=NPY)
    assert answer.status_code == 200, answer.text
    assert answer.json()["checkpoint"]["id"] == other["id"]


def test_too_large_answer_is_refused_before_anything_is_computed(start: Callable[..., Api]) -> None:
    api = start(max_answer_bytes=2**20)
    url = f"/v1/jobs/{api.trained()['id']}/predictions"
    refused = api.client.post(url, content=npy(np.ones((60_000, 1), np.int8)), headers=NPY)
    assert (refused.status_code, refused.json()["code"]) == (422, "too_much_work")
    assert "CHAINRULE_MAX_ANSWER_BYTES" in refused.json()["detail"]
    assert api.client.post(url, content=npy(np.ones((10_000, 1), np.int8)), headers=NPY).status_code == 200


def test_answer_with_many_outputs_is_refused(start: Callable[..., Api]) -> None:
    """A network of many outputs makes a large answer of few rows: the estimate counts outputs, not only rows."""
    api = start(max_answer_bytes=2**20)
    data = {"type": "inline", "x": [[1], [2]], "y": [[0.5] * 5000, [1.5] * 5000]}
    layers = [{"type": "dense", "units": 5000}]
    url = f"/v1/jobs/{api.trained(data=data, architecture={'layers': layers})['id']}/predictions"
    assert api.client.post(url, json={"instances": [[1]] * 5}).status_code == 200
    refused = api.client.post(url, json={"instances": [[1]] * 50})
    assert (refused.status_code, refused.json()["code"]) == (422, "too_much_work")


@pytest.mark.parametrize("route", ["predictions", "inspect", "check_gradient"])
def test_full_compute_pool_gets_503_and_light_routes_still_answer(
    api: Api, client: TestClient, line: str, monkeypatch: pytest.MonkeyPatch, route: str
) -> None:
    monkeypatch.setattr(api.services.compute, "_in_progress", 1000)
    body: dict[str, Any] = {"instances": [[1.5]] * (30_000 if route == "predictions" else 1)}
    answer = client.post(f"/v1/jobs/{line}/{route}", json=body if route == "predictions" else body | {"targets": [3]})
    assert (answer.status_code, answer.json()["code"]) == (503, "service_busy")
    assert int(answer.headers["retry-after"]) > 0
    assert client.get("/health/live").status_code == 200
    assert client.get(f"/v1/jobs/{line}").status_code == 200
    assert client.post(f"/v1/jobs/{line}/predictions", json={"instances": [[6]]}).status_code == 200


def test_long_class_name_is_refused(client: TestClient) -> None:
    data = {"type": "inline", "x": [[1], [2], [3]], "y": ["cat", "d" * 129, "cat"]}
    refused = client.post("/v1/jobs", json=LINE | {"data": data})
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/data/y/1")
    assert len(refused.content) < 1000
    data["y"] = ["cat", "d" * 128, "cat"]
    layers = {"layers": [{"type": "dense", "units": 2}]}
    allowed = client.post("/v1/jobs", json=LINE | {"data": data, "architecture": layers})
    assert allowed.status_code == 201, allowed.text
    client.post(f"/v1/jobs/{allowed.json()['id']}/cancel")


def test_untrained_job_gets_409(api: Api, client: TestClient) -> None:
    job = api.post()["id"]
    problem = client.post(f"/v1/jobs/{job}/predictions", json={"instances": [[6]]})
    assert problem.status_code == 409
    assert (problem.json()["code"], problem.json()["state"]) == ("job_not_trained", "queued")
    client.post(f"/v1/jobs/{job}/cancel?keep=none")
    assert client.post(f"/v1/jobs/{job}/predictions", json={"instances": [[6]]}).status_code == 409


def test_damaged_checkpoint_falls_back_to_the_previous_one(api: Api, client: TestClient) -> None:
    job = api.trained(training=LINE["training"] | {"epochs": 50})["id"]
    rows = client.get(f"/v1/jobs/{job}/checkpoints").json()["items"]
    path = api.services.blobs.path(rows[0]["sha256"])
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-1])
    answer = client.post(f"/v1/jobs/{job}/predictions", json={"instances": [[6]]})
    if len(rows) == 1:
        assert answer.json()["code"] == "damaged_file"
    else:
        assert answer.json()["checkpoint"]["id"] == rows[1]["id"]


def test_concurrent_predictions_during_training(api: Api, client: TestClient) -> None:
    job = api.post(training={"epochs": 10_000_000, "batch_size": 5, "log_every": 100_000})["id"]
    worker = threading.Thread(target=api.train)
    worker.start()
    try:
        url, body = f"/v1/jobs/{job}/predictions", {"instances": [[6]]}
        deadline = time.monotonic() + 20
        while client.post(url, json=body).status_code == 409:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        statuses: list[int] = []
        threads = [
            threading.Thread(target=lambda: statuses.append(client.post(url, json=body).status_code)) for _ in range(40)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert statuses == [200] * 40
        assert api.job(job)["status"] == "running"
    finally:
        client.post(f"/v1/jobs/{job}/cancel")
        worker.join(30)
    assert client.post(url, json=body).json()["predictions"][0]["value"] == pytest.approx(12, abs=1e-3)


def test_recurrent_network_predicts_nested_sequences(api: Api, client: TestClient) -> None:
    """Classify sequences of two numbers per step by the sign of the first number of the last unmasked step."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((64, 5, 2)).round(3)
    last = rng.integers(0, 5, 64)
    x[np.arange(5) > last[:, None]] = 0
    y = np.where(x[np.arange(64), last, 0] > 0, "up", "down").tolist()
    spec = {
        "data": {"type": "inline", "x": x.tolist(), "y": y},
        "architecture": {
            "layers": ["masking", {"type": "lstm", "units": 8, "recurrent_dropout": 0.1}, {"type": "dense", "units": 2}]
        },
        "optimizer": {"type": "adam", "learning_rate": 0.05},
        "training": {"epochs": 40, "batch_size": 16, "seed": 1},
    }
    job = client.post("/v1/jobs", json=spec)
    assert job.status_code == 201, job.text
    api.train()
    answer = client.post(f"/v1/jobs/{job.json()['id']}/predictions", json={"instances": x[:20].tolist()})
    assert answer.status_code == 200, answer.text
    correct = [one["label"] == true for one, true in zip(answer.json()["predictions"], y[:20], strict=True)]
    assert sum(correct) >= 18
    flat = client.post(f"/v1/jobs/{job.json()['id']}/predictions", json={"instances": [[1, 2, 3]]})
    assert flat.status_code == 422


def test_predictions_name_the_step_and_epoch_of_the_weights_that_answer(api: Api) -> None:
    growing = {"optimizer": {"type": "sgd", "learning_rate": 0.1}, "training": {"epochs": 4, "batch_size": 5}}
    job = api.trained(**growing)
    address = f"/v1/jobs/{job['id']}/predictions"
    body = {"instances": [[1]]}
    best, last = (api.client.post(address, params={"weights": each}, json=body).json() for each in ("best", "last"))
    assert (job["best"]["epoch"], job["best"]["step"]) == (1, 1)
    assert [best["checkpoint"][name] for name in ("weights", "epoch", "step")] == ["best", 1, 1]
    assert [last["checkpoint"][name] for name in ("weights", "epoch", "step")] == ["last", 4, 4]
    assert best["predictions"] != last["predictions"]


CODES = "code,size,sweet\n" + "".join(
    f"{('01', '1', '02')[n % 3]},{n % 7},{('yes', 'no')[n % 3 == 0]}\n" for n in range(60)
)


def test_headerless_csv_is_read_by_the_columns_of_the_model(api: Api) -> None:
    types = {"types": '{"code": "category"}'}
    dataset = api.client.post("/v1/datasets", files={"file": ("codes.csv", CODES)}, data=types).json()["id"]
    job = api.trained(
        data={"type": "dataset", "id": dataset, "target": "sweet"},
        architecture={"layers": [{"type": "dense", "units": 2}]},
        training={"epochs": 3},
    )

    def predicted(kind: str, body: bytes) -> Any:
        address = f"/v1/jobs/{job['id']}/predictions"
        return api.client.post(address, content=body, headers={"Content-Type": kind}).raise_for_status().json()

    expected = predicted("application/json", b'{"instances": [{"code": "02", "size": 3}, {"code": "1", "size": 4}]}')
    for body in (b"02,3\n1,4\n", b"code,size\n02,3\n1,4\n", b"size,code\n3,02\n4,1\n", b"02;3\n1;4\n"):
        assert predicted("text/csv", body) == expected
    assert all(one["warnings"] == [] for one in expected["predictions"])


def test_values_far_outside_and_unknown_fields_are_warned_about(client: TestClient, line: str, classes: str) -> None:
    answer = client.post(f"/v1/jobs/{line}/predictions", json={"instances": [[6], [5000]]}).json()["predictions"]
    assert answer[0]["warnings"] == []
    (far,) = answer[1]["warnings"]
    assert (far["code"], far["pointer"]) == ("far_outside", "/0")
    records = [{"size": 900, "colour": "red", "weight": 3}]
    (one,) = client.post(f"/v1/jobs/{classes}/predictions", json={"instances": records}).json()["predictions"]
    assert [(each["code"], each["pointer"]) for each in one["warnings"]] == [
        ("far_outside", "/size"),
        ("unknown_field", ""),
    ]
