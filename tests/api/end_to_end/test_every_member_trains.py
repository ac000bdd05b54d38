"""Every layer, loss, optimizer and other member trains through `POST /v1/jobs`: one small job per case."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from core.data.encoders import EncoderOptions
from core.data.sources import Data
from core.data.splits import Split
from core.nn.activations import Activation
from core.nn.constraints import Constraint
from core.nn.initializers import Initializer
from core.nn.layers.composite import Layer
from core.nn.losses import Loss
from core.nn.metrics import Metric
from core.nn.optimizers.wrappers import Optimizer
from core.nn.regularizers import Regularizer
from core.nn.schedules import Schedule
from core.nn.tagged_union import members
from tests.api.conftest import Api
from tests.core.nn import cases
from tests.core.nn.test_tagged_union import adapter_of

ROWS = 4
Spec = dict[str, Any]


def as_json(kind: Any, member: Any) -> Any:
    """Return the member as JSON of a spec."""
    return adapter_of(kind).dump_python(member, mode="json")


def dense(units: int, **more: Any) -> dict[str, Any]:
    return {"type": "dense", "units": units, **more}


def a_spec(x: Any, y: Any, *layers: Any, **more: Any) -> Spec:
    """Return a spec of one epoch."""
    data = {"type": "inline", "x": np.asarray(x).tolist(), "y": np.asarray(y).tolist()}
    return {"data": data, "architecture": {"layers": layers}, "training": {"epochs": 1, "batch_size": 3}} | more


def a_small_spec(*layers: Any, **more: Any) -> Spec:
    """Return a spec with three inputs and three outputs."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, ROWS, 3))
    return a_spec(x, y, *(layers or [dense(3)]), **more)


def of_layer(case: cases.LayerCase) -> Spec:
    rng = np.random.default_rng(0)
    y = rng.standard_normal((ROWS, *case.output_shape))
    return a_spec(case.inputs(ROWS, rng), y, as_json(Layer, case.layer), dense(case.output_shape[-1]))


def of_activation(activation: Activation) -> Spec:
    return a_small_spec(dense(3, activation=as_json(Activation, activation)), dense(3))


def of_loss(case: cases.LossCase) -> Spec:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((ROWS, *case.output_shape))
    y = cases.random_targets(case.targets, ROWS, case.output_shape, rng)
    return a_spec(x, y, dense(case.output_shape[-1]), loss=as_json(Loss, case.loss))


def of_optimizer(optimizer: Optimizer) -> Spec:
    rows = {"batch_size": ROWS} if optimizer.type == "lbfgs" else {}
    body = a_small_spec(optimizer=as_json(Optimizer, optimizer))
    return body | {"training": body["training"] | rows}


def of_schedule(case: cases.ScheduleCase) -> Spec:
    return a_small_spec(optimizer={"type": "sgd", "learning_rate": as_json(Schedule, case.schedule)})


def of_initializer(case: tuple[Initializer, float, float]) -> Spec:
    return a_small_spec(dense(3, kernel_initializer=as_json(Initializer, case[0])))


def of_regularizer(case: tuple[Regularizer, float]) -> Spec:
    return a_small_spec(dense(3, kernel_regularizer=as_json(Regularizer, case[0])))


def of_constraint(case: tuple[Constraint, list[Any], list[Any]]) -> Spec:
    return a_small_spec(dense(3, kernel_constraint=as_json(Constraint, case[0])))


def of_metric(case: tuple[Metric, list[Any], list[Any], float]) -> Spec:
    metric, outputs, targets, _ = case
    if metric.predicts == "labels":
        body = of_loss(next(case for case in cases.LOSSES if case.targets == "labels"))
        return body | {"training": body["training"] | {"metrics": [as_json(Metric, metric)]}}
    units = len(outputs[0])
    of_classes = "binary_cross_entropy" if units == 1 else "cross_entropy"
    body = a_spec(outputs, targets, dense(units), loss=of_classes if metric.predicts == "classes" else None)
    return body | {"training": body["training"] | {"metrics": [as_json(Metric, metric)]}}


KINDS: list[tuple[list[Any], Callable[[Any], Spec]]] = [
    (cases.LAYERS, of_layer),
    (cases.ACTIVATIONS, of_activation),
    (cases.LOSSES, of_loss),
    (cases.OPTIMIZERS, of_optimizer),
    (cases.SCHEDULES, of_schedule),
    (cases.INITIALIZERS, of_initializer),
    (cases.REGULARIZERS, of_regularizer),
    (cases.CONSTRAINTS, of_constraint),
    (cases.METRICS, of_metric),
]


def member_of(case: Any) -> Any:
    """Return the member of a case: the case itself, or its first entry."""
    return case if hasattr(case, "type") else case[0]


EVERY = [pytest.param(spec_of, case, id=member_of(case).type) for table, spec_of in KINDS for case in table]


@pytest.mark.parametrize(("spec_of", "case"), EVERY)
def test_member_trains(embedded: Api, spec_of: Callable[[Any], Spec], case: Any) -> None:
    job = embedded.trained(**spec_of(case))
    assert (job["status"], job["error"], job["progress"]["epoch"]) == ("succeeded", None, 1)


def test_every_member_of_the_openapi_document_has_a_case(embedded: Api) -> None:
    schemas = embedded.client.get("/openapi.json").raise_for_status().json()["components"]["schemas"]
    unions = {
        name: schema for name, schema in schemas.items() if name != "Architecture"
    }  # a Sequential of its own name
    types = (schema.get("properties", {}).get("type", {}).get("const") for schema in unions.values())
    offered = sorted(filter(None, types))
    posted = {type(member_of(case)): member_of(case).type for table, _ in KINDS for case in table}
    of_data = [*members(Data), *members(Split), *members(EncoderOptions)]  # with tables of cases of their own
    assert offered == sorted([*posted.values(), *of_data]), "each member needs a row in tests/core/nn/cases"


def test_undefined_metric_is_null(embedded: Api) -> None:
    body = a_spec([[1], [2]], [[0], [0]], dense(1), loss="binary_cross_entropy")
    watched = {"epochs": 2, "metrics": ["roc_auc"], "early_stopping": {"monitor": "roc_auc"}}
    job = embedded.trained(**body | {"training": watched})
    assert (job["latest"]["roc_auc"], job["best"]) == (None, None)
    rows = embedded.client.get(f"/v1/jobs/{job['id']}/metrics?name=roc_auc").raise_for_status().json()["items"]
    assert [(row["value"], row["nonfinite"]) for row in rows] == [(None, "nan")] * len(rows) != []
    [saved] = embedded.client.get(f"/v1/jobs/{job['id']}/checkpoints").raise_for_status().json()["items"]
    assert saved["metrics"]["roc_auc"] is None
