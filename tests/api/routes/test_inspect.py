"""A look inside a job's next step over HTTP: it tells what the step would do, and the job knows nothing of it."""

from typing import Any

import pytest

from api.routes import inspect
from core.models import inspection
from core.models.inspection import InspectionLimits
from core.nn.losses.categorical import CrossEntropy as Softmaxed
from tests.api.conftest import Api

TWO = {"instances": [[1], [2]], "targets": [2, 4]}
WORDS: dict[str, Any] = {
    "data": {"type": "inline", "x": [[0, 1], [1, 0]] * 4, "y": ["cat", "dog"] * 4},
    "architecture": {"layers": [{"type": "dense", "units": 3, "activation": "relu"}, {"type": "dense", "units": 2}]},
    "training": {"epochs": 2, "seed": 1},
}


@pytest.fixture(scope="module")
def line(api: Api) -> str:
    """A job that has learned y = 2x for one step, from a weight of 1."""
    one = {"type": "dense", "units": 1, "use_bias": False, "kernel_initializer": "ones"}
    job = api.trained(architecture={"layers": [one]}, training={"epochs": 1, "batch_size": 5})
    return str(job["id"])


@pytest.fixture(scope="module")
def words(api: Api) -> str:
    return str(api.trained(**WORDS)["id"])


def seen(api: Api, job_id: str, **body: Any) -> dict[str, Any]:
    return dict(api.client.post(f"/v1/jobs/{job_id}/inspect", json=body).raise_for_status().json())


def test_a_look_tells_of_the_step_that_would_come(api: Api, line: str) -> None:
    before = api.job(line)
    look = seen(api, line, **TWO, arrays=True)
    weight = 1 + 0.01 * 2 * 55 / 5  # after the job's own step
    gradient = 2 * (weight - 2) * (1 + 4) / 2
    assert (look["step"], look["epoch"], look["first_nonfinite"]) == (1, 1, None)
    assert look["loss"] == pytest.approx((weight - 2) ** 2 * (1 + 4) / 2)
    (layer,) = look["layers"]
    assert (layer["pointer"], layer["type"], layer["dead"]) == ("/architecture/layers/0", "dense", 0)
    kernel = layer["weights"]["kernel"]
    assert kernel["weights"]["mean"] == pytest.approx(weight)
    assert kernel["gradient"]["mean"] == pytest.approx(gradient, rel=1e-5)
    assert kernel["update_ratio"] == pytest.approx(abs(0.01 * gradient) / weight, rel=1e-4)
    assert [row[0] for row in layer["arrays"]["output"]] == pytest.approx([weight, 2 * weight])
    assert layer["arrays"]["gradients.kernel"][0] == pytest.approx([gradient], rel=1e-5)
    assert api.job(line) == before


def test_what_is_not_finite_is_found_by_layer_and_rows(api: Api, line: str) -> None:
    look = seen(api, line, instances=[[1], [3.3e38], [2]], targets=[1, 1, 1], arrays=True)
    assert look["first_nonfinite"] == {"pointer": "/architecture/layers/0", "type": "dense", "rows": [1]}
    assert (look["loss"], look["nonfinite"]) == (None, "inf")
    assert look["layers"][0]["arrays"]["output"][1] == [None]


def test_classes_are_told_by_their_names(api: Api, words: str) -> None:
    look = seen(api, words, instances=[[0, 1], [1, 0]], targets=["cat", "dog"])
    assert [layer["pointer"] for layer in look["layers"]] == ["/architecture/layers/0", "/architecture/layers/1"]
    assert all(layer["arrays"] == {} for layer in look["layers"])
    swapped = seen(api, words, instances=[[0, 1], [1, 0]], targets=["dog", "cat"])
    assert swapped["loss"] != look["loss"]


def checked(api: Api, job_id: str, **body: Any) -> dict[str, Any]:
    return dict(api.client.post(f"/v1/jobs/{job_id}/check_gradient", json=body).raise_for_status().json())


def test_a_gradient_is_held_against_the_slope_that_is_there(api: Api, line: str) -> None:
    before = api.job(line)
    found = checked(api, line, **TWO)
    weight = 1 + 0.01 * 2 * 55 / 5
    slope = abs(2 * (weight - 2) * (1 + 4) / 2)  # of one weight: along it, or against it
    (layer,) = found["layers"]
    assert (found["step"], found["epoch"]) == (1, 1)
    assert (layer["pointer"], layer["type"]) == ("/architecture/layers/0", "dense")
    kernel = layer["weights"]["kernel"]
    assert abs(kernel["backward"]) == pytest.approx(slope, rel=1e-6)
    assert kernel["differences"] == pytest.approx(kernel["backward"], rel=1e-6)
    assert found["error"] == kernel["error"] < 1e-6
    assert api.job(line) == before


def test_every_layer_that_learns_is_checked_with_chance_and_statistics(api: Api) -> None:
    layers = [
        {"type": "dense", "units": 3, "trainable": False},
        {"type": "dense", "units": 8, "activation": "tanh", "kernel_regularizer": "l2"},
        {"type": "batch_normalization"},
        {"type": "dropout", "rate": 0.3},
        {"type": "residual", "layer": {"type": "dense", "units": 8, "activation": "gelu"}},
        {"type": "dense", "units": 2},
    ]
    job = api.trained(**WORDS | {"architecture": {"layers": layers}})
    rows = {"instances": [[0, 1], [1, 0], [1, 1]], "targets": ["cat", "dog", "dog"]}
    found = checked(api, job["id"], **rows)
    assert [layer["pointer"].removeprefix("/architecture/layers/") for layer in found["layers"]] == [
        "1", "2", "4/layer", "5",
    ]  # fmt: skip
    assert found["error"] < 1e-6
    assert checked(api, job["id"], **rows) == found


def test_a_wrong_gradient_is_told_of_its_layer(api: Api, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    right = Softmaxed.compare

    def wrong(self: Any, *arguments: Any) -> Any:
        value, backward, each = right(self, *arguments)
        return value, lambda: 1.01 * backward(), each

    monkeypatch.setattr(Softmaxed, "compare", wrong)
    found = checked(api, words, instances=[[0, 1], [1, 0]], targets=["cat", "dog"])
    assert found["error"] == pytest.approx(0.01, rel=0.02)


def test_numbers_that_are_not_finite_have_no_slope(api: Api) -> None:
    layers = [{"type": "dense", "units": 1, "kernel_initializer": "ones"}]
    job = api.trained(architecture={"layers": layers}, loss="poisson", training={"epochs": 1})
    found = checked(api, job["id"], instances=[[3e38], [-3e38]], targets=[1, 1])
    assert found["error"] is None
    assert found["layers"][0]["weights"]["kernel"]["differences"] is None


def test_a_check_takes_no_more_than_it_may(api: Api, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for limits in (InspectionLimits(10), InspectionLimits(2**30, flops=10)):
        monkeypatch.setattr(inspect, "InspectionLimits", lambda _, limits=limits: limits)
        answer = api.client.post(f"/v1/jobs/{words}/check_gradient", json={"instances": [[0, 1]], "targets": ["cat"]})
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/instances")


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"instances": [[0, 1]], "targets": ["cow"]}, "/targets/0", 'is not a class: give one of "cat", "dog"'),
    ({"instances": [[0, 1]], "targets": ["cat", "dog"]}, "/targets", "give one for each"),
    ({"instances": [[0]], "targets": ["cat"]}, "/instances/0", "shape"),
    ({"instances": [], "targets": []}, "/instances", "at least 1"),
    ({"instances": [[0, 1]], "targets": ["cat"], "array": True}, "/array", "not a known field"),
]


@pytest.mark.parametrize(("body", "pointer", "words_of"), REFUSED)
def test_what_does_not_fit_is_refused_at_its_place(
    api: Api, words: str, body: dict[str, Any], pointer: str, words_of: str
) -> None:
    answer = api.client.post(f"/v1/jobs/{words}/inspect", json=body)
    assert answer.status_code == 422
    (error, *_) = answer.json()["errors"]
    assert error["pointer"] == pointer
    assert words_of in error["message"]


@pytest.mark.parametrize(
    ("limits", "pointer"),
    [(InspectionLimits(10), "/instances"), (InspectionLimits(2**30, array_numbers=10), "/arrays")],
)
def test_a_look_takes_no_more_than_it_may(
    api: Api, words: str, monkeypatch: pytest.MonkeyPatch, limits: InspectionLimits, pointer: str
) -> None:
    monkeypatch.setattr(inspect, "InspectionLimits", lambda _: limits)
    monkeypatch.setattr(inspection, "look", None)  # nothing is begun
    body = {"instances": [[0, 1]], "targets": ["cat"], "arrays": True}
    answer = api.client.post(f"/v1/jobs/{words}/inspect", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)


def test_a_job_without_weights_has_no_next_step_to_tell(api: Api) -> None:
    job = api.post()
    answer = api.client.post(f"/v1/jobs/{job['id']}/inspect", json=TWO)
    assert (answer.status_code, answer.json()["code"]) == (409, "job_not_trained")
    api.client.post(f"/v1/jobs/{job['id']}/cancel")


def test_a_damaged_checkpoint_gives_way_to_the_one_before(api: Api) -> None:
    long = api.trained(training={"epochs": 3, "batch_size": 5})
    more = api.client.post(f"/v1/jobs/{long['id']}/continue", json={"epochs": 2}).raise_for_status().json()
    api.train()
    newest, *others = api.client.get(f"/v1/jobs/{more['id']}/checkpoints").json()["items"]
    assert others
    assert seen(api, more["id"], **TWO)["step"] == newest["step"]
    api.services.blobs.path(newest["sha256"]).write_bytes(b"nothing")
    assert seen(api, more["id"], **TWO)["step"] == others[0]["step"]


def test_a_training_leaves_rows_of_its_layers_where_that_is_wanted(api: Api) -> None:
    job = api.trained(**WORDS | {"training": {"epochs": 4, "inspect_every": 2}})
    name = "layers/0/kernel/update_ratio"
    rows = api.client.get(f"/v1/jobs/{job['id']}/metrics", params={"name": name}).raise_for_status().json()["items"]
    assert [(row["epoch"], row["split"]) for row in rows] == [(2, "train"), (4, "train")]
    assert all(row["value"] > 0 for row in rows)
