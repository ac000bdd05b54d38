"""Inspection of a job's next step and gradient checks: results, limits, and that the job does not change."""

from typing import Any

import pytest
from starlette.responses import Response

from api.services import inspection as inspection_service
from core.models import inspection
from core.models.inspection import InspectionLimits
from core.nn.losses.categorical import CrossEntropy
from tests.api.conftest import Api

TWO_POINTS = {"instances": [[1], [2]], "targets": [2, 4]}
CLASSES: dict[str, Any] = {
    "data": {"type": "inline", "x": [[0, 1], [1, 0]] * 4, "y": ["cat", "dog"] * 4},
    "architecture": {"layers": [{"type": "dense", "units": 3, "activation": "relu"}, {"type": "dense", "units": 2}]},
    "training": {"epochs": 2, "seed": 1},
}


@pytest.fixture(scope="module")
def line(api: Api) -> str:
    """Train y = 2x for one step, from a weight of 1."""
    one = {"type": "dense", "units": 1, "use_bias": False, "kernel_initializer": "ones"}
    job = api.trained(architecture={"layers": [one]}, training={"epochs": 1, "batch_size": 5})
    return str(job["id"])


@pytest.fixture(scope="module")
def classifier(api: Api) -> str:
    return str(api.trained(**CLASSES)["id"])


def inspect_job(api: Api, job_id: str, **body: Any) -> dict[str, Any]:
    return dict(api.client.post(f"/v1/jobs/{job_id}/inspect", json=body).raise_for_status().json())


def test_inspection_describes_the_next_step(api: Api, line: str) -> None:
    before = api.job(line)
    result = inspect_job(api, line, **TWO_POINTS, arrays=True)
    weight = 1 + 0.01 * 2 * 55 / 5  # after the job's own step
    gradient = 2 * (weight - 2) * (1 + 4) / 2
    assert (result["step"], result["epoch"], result["first_nonfinite"]) == (1, 1, None)
    assert result["loss"] == pytest.approx((weight - 2) ** 2 * (1 + 4) / 2)
    (layer,) = result["layers"]
    assert (layer["pointer"], layer["type"], layer["dead"]) == ("/architecture/layers/0", "dense", 0)
    kernel = layer["weights"]["kernel"]
    assert kernel["weights"]["mean"] == pytest.approx(weight)
    assert kernel["gradient"]["mean"] == pytest.approx(gradient, rel=1e-5)
    assert kernel["update_ratio"] == pytest.approx(abs(0.01 * gradient) / weight, rel=1e-4)
    assert [row[0] for row in layer["arrays"]["output"]] == pytest.approx([weight, 2 * weight])
    assert layer["arrays"]["gradients.kernel"][0] == pytest.approx([gradient], rel=1e-5)
    assert api.job(line) == before


def test_inspection_locates_nonfinite_outputs_by_layer_and_row(api: Api, line: str) -> None:
    result = inspect_job(api, line, instances=[[1], [3.3e38], [2]], targets=[1, 1, 1], arrays=True)
    assert result["first_nonfinite"] == {"pointer": "/architecture/layers/0", "type": "dense", "rows": [1]}
    assert (result["loss"], result["nonfinite"]) == (None, "inf")
    assert result["layers"][0]["arrays"]["output"][1] == [None]


def test_inspection_takes_class_names_as_targets(api: Api, classifier: str) -> None:
    result = inspect_job(api, classifier, instances=[[0, 1], [1, 0]], targets=["cat", "dog"])
    assert [layer["pointer"] for layer in result["layers"]] == ["/architecture/layers/0", "/architecture/layers/1"]
    assert all(layer["arrays"] == {} for layer in result["layers"])
    swapped = inspect_job(api, classifier, instances=[[0, 1], [1, 0]], targets=["dog", "cat"])
    assert swapped["loss"] != result["loss"]


def check_gradient(api: Api, job_id: str, **body: Any) -> dict[str, Any]:
    return dict(api.client.post(f"/v1/jobs/{job_id}/check_gradient", json=body).raise_for_status().json())


def test_gradient_check_compares_with_the_analytic_derivative(api: Api, line: str) -> None:
    before = api.job(line)
    found = check_gradient(api, line, **TWO_POINTS)
    weight = 1 + 0.01 * 2 * 55 / 5
    slope = abs(2 * (weight - 2) * (1 + 4) / 2)  # for a single weight, the random direction is +1 or -1
    (layer,) = found["layers"]
    assert (found["step"], found["epoch"]) == (1, 1)
    assert (layer["pointer"], layer["type"]) == ("/architecture/layers/0", "dense")
    kernel = layer["weights"]["kernel"]
    assert abs(kernel["backward"]) == pytest.approx(slope, rel=1e-6)
    assert kernel["differences"] == pytest.approx(kernel["backward"], rel=1e-6)
    assert found["error"] == kernel["error"] < 1e-6
    assert api.job(line) == before


def test_gradient_check_covers_trainable_layers_of_a_random_network(api: Api) -> None:
    layers = [
        {"type": "dense", "units": 3, "trainable": False},
        {"type": "dense", "units": 8, "activation": "tanh", "kernel_regularizer": "l2"},
        {"type": "batch_normalization"},
        {"type": "dropout", "rate": 0.3},
        {"type": "residual", "layer": {"type": "dense", "units": 8, "activation": "gelu"}},
        {"type": "dense", "units": 2},
    ]
    job = api.trained(**CLASSES | {"architecture": {"layers": layers}})
    rows = {"instances": [[0, 1], [1, 0], [1, 1]], "targets": ["cat", "dog", "dog"]}
    found = check_gradient(api, job["id"], **rows)
    assert [layer["pointer"].removeprefix("/architecture/layers/") for layer in found["layers"]] == [
        "1", "2", "4/layer", "5",
    ]  # fmt: skip
    assert found["error"] < 1e-6
    assert check_gradient(api, job["id"], **rows) == found


@pytest.fixture
def _in_this_process(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run heavy requests in this process, so that a test can replace functions."""

    async def respond(_request: Any, function: Any, *arguments: Any) -> Response:
        return Response(b"".join(function(*arguments)), media_type="application/json")

    monkeypatch.setattr(api.services.compute, "respond", respond)


@pytest.mark.usefixtures("_in_this_process")
def test_gradient_check_detects_a_wrong_gradient(api: Api, classifier: str, monkeypatch: pytest.MonkeyPatch) -> None:
    compare = CrossEntropy.compare

    def wrong(self: Any, *arguments: Any) -> Any:
        value, backward, each = compare(self, *arguments)
        return value, lambda: 1.01 * backward(), each

    monkeypatch.setattr(CrossEntropy, "compare", wrong)
    found = check_gradient(api, classifier, instances=[[0, 1], [1, 0]], targets=["cat", "dog"])
    assert found["error"] == pytest.approx(0.01, rel=0.02)


def test_gradient_check_of_nonfinite_loss_is_null(api: Api) -> None:
    layers = [{"type": "dense", "units": 1, "kernel_initializer": "ones"}]
    job = api.trained(architecture={"layers": layers}, loss="poisson", training={"epochs": 1})
    found = check_gradient(api, job["id"], instances=[[3e38], [-3e38]], targets=[1, 1])
    assert found["error"] is None
    assert found["layers"][0]["weights"]["kernel"]["differences"] is None


@pytest.mark.usefixtures("_in_this_process")
def test_gradient_check_beyond_the_limits_is_refused(
    api: Api, classifier: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for limits in (InspectionLimits(10), InspectionLimits(2**30, flops=10)):
        monkeypatch.setattr(inspection_service, "InspectionLimits", lambda _, limits=limits: limits)
        answer = api.client.post(
            f"/v1/jobs/{classifier}/check_gradient", json={"instances": [[0, 1]], "targets": ["cat"]}
        )
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/instances")


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"instances": [[0, 1]], "targets": ["cow"]}, "/targets/0", 'is not a class: give one of "cat", "dog"'),
    ({"instances": [[0, 1]], "targets": ["cat", "dog"]}, "/targets", "give one for each"),
    ({"instances": [[0]], "targets": ["cat"]}, "/instances/0", "shape"),
    ({"instances": [], "targets": []}, "/instances", "at least 1"),
    ({"instances": [[0, 1]], "targets": ["cat"], "array": True}, "/array", "not a known field"),
]


@pytest.mark.parametrize(("body", "pointer", "words"), REFUSED)
def test_invalid_batch_is_refused_with_pointer(
    api: Api, classifier: str, body: dict[str, Any], pointer: str, words: str
) -> None:
    answer = api.client.post(f"/v1/jobs/{classifier}/inspect", json=body)
    assert answer.status_code == 422
    (error, *_) = answer.json()["errors"]
    assert error["pointer"] == pointer
    assert words in error["message"]


@pytest.mark.usefixtures("_in_this_process")
@pytest.mark.parametrize(
    ("limits", "pointer"),
    [(InspectionLimits(10), "/instances"), (InspectionLimits(2**30, array_numbers=10), "/arrays")],
)
def test_inspection_beyond_the_limits_is_refused(
    api: Api, classifier: str, monkeypatch: pytest.MonkeyPatch, limits: InspectionLimits, pointer: str
) -> None:
    monkeypatch.setattr(inspection_service, "InspectionLimits", lambda _: limits)
    monkeypatch.setattr(inspection, "inspect_step", None)  # fails if the step is computed
    body = {"instances": [[0, 1]], "targets": ["cat"], "arrays": True}
    answer = api.client.post(f"/v1/jobs/{classifier}/inspect", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)


def test_untrained_job_gets_409(api: Api) -> None:
    job = api.post()
    answer = api.client.post(f"/v1/jobs/{job['id']}/inspect", json=TWO_POINTS)
    assert (answer.status_code, answer.json()["code"]) == (409, "job_not_trained")
    api.client.post(f"/v1/jobs/{job['id']}/cancel")


def test_damaged_checkpoint_falls_back_to_the_previous_one(api: Api) -> None:
    long = api.trained(training={"epochs": 3, "batch_size": 5})
    more = api.client.post(f"/v1/jobs/{long['id']}/continue", json={"epochs": 2}).raise_for_status().json()
    api.train()
    newest, *others = api.client.get(f"/v1/jobs/{more['id']}/checkpoints").json()["items"]
    assert others
    assert inspect_job(api, more["id"], **TWO_POINTS)["step"] == newest["step"]
    api.services.blobs.path(newest["sha256"]).write_bytes(b"nothing")
    assert inspect_job(api, more["id"], **TWO_POINTS)["step"] == others[0]["step"]


def test_inspect_every_stores_metric_rows_of_layers(api: Api) -> None:
    job = api.trained(**CLASSES | {"training": {"epochs": 4, "inspect_every": 2}})
    name = "layers/0/kernel/update_ratio"
    rows = api.client.get(f"/v1/jobs/{job['id']}/metrics", params={"name": name}).raise_for_status().json()["items"]
    assert [(row["epoch"], row["split"]) for row in rows] == [(2, "train"), (4, "train")]
    assert all(row["value"] > 0 for row in rows)
