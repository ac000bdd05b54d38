"""Every member of every kind trains by `POST /v1/jobs`: each row of the tables of cases is a small job."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from core.data.sources import Data
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
from tests.core.nn.insight.test_gradient_check import some_targets
from tests.core.nn.test_tagged_union import adapter_of

ROWS = 4
Body = dict[str, Any]


def told(kind: Any, member: Any) -> Any:
    """The member as a client writes it."""
    return adapter_of(kind).dump_python(member, mode="json")


def dense(units: int, **more: Any) -> dict[str, Any]:
    return {"type": "dense", "units": units, **more}


def a_body(x: Any, y: Any, *layers: Any, **more: Any) -> Body:
    """A job of one epoch."""
    data = {"type": "inline", "x": np.asarray(x).tolist(), "y": np.asarray(y).tolist()}
    return {"data": data, "architecture": {"layers": layers}, "training": {"epochs": 1, "batch_size": 3}} | more


def a_small_body(*layers: Any, **more: Any) -> Body:
    """Three numbers from three numbers."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, ROWS, 3))
    return a_body(x, y, *(layers or [dense(3)]), **more)


def of_layer(case: cases.LayerCase) -> Body:
    rng = np.random.default_rng(0)
    y = rng.standard_normal((ROWS, *case.output_shape))
    return a_body(case.inputs(ROWS, rng), y, told(Layer, case.layer), dense(case.output_shape[-1]))


def of_activation(activation: Activation) -> Body:
    return a_small_body(dense(3, activation=told(Activation, activation)), dense(3))


def of_loss(case: cases.LossCase) -> Body:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((ROWS, *case.output_shape))
    y = some_targets(case.targets, ROWS, case.output_shape, rng)
    return a_body(x, y, dense(case.output_shape[-1]), loss=told(Loss, case.loss))


def of_optimizer(optimizer: Optimizer) -> Body:
    rows = {"batch_size": ROWS} if optimizer.type == "lbfgs" else {}
    body = a_small_body(optimizer=told(Optimizer, optimizer))
    return body | {"training": body["training"] | rows}


def of_schedule(case: cases.ScheduleCase) -> Body:
    return a_small_body(optimizer={"type": "sgd", "learning_rate": told(Schedule, case.schedule)})


def of_initializer(case: tuple[Initializer, float, float]) -> Body:
    return a_small_body(dense(3, kernel_initializer=told(Initializer, case[0])))


def of_regularizer(case: tuple[Regularizer, float]) -> Body:
    return a_small_body(dense(3, kernel_regularizer=told(Regularizer, case[0])))


def of_constraint(case: tuple[Constraint, list[Any], list[Any]]) -> Body:
    return a_small_body(dense(3, kernel_constraint=told(Constraint, case[0])))


def of_metric(case: tuple[Metric, list[Any], list[Any], float]) -> Body:
    metric, outputs, targets, _ = case
    if metric.predicts == "labels":
        body = of_loss(next(case for case in cases.LOSSES if case.targets == "labels"))
        return body | {"training": body["training"] | {"metrics": [told(Metric, metric)]}}
    units = len(outputs[0])
    of_classes = "binary_cross_entropy" if units == 1 else "cross_entropy"
    body = a_body(outputs, targets, dense(units), loss=of_classes if metric.predicts == "classes" else None)
    return body | {"training": body["training"] | {"metrics": [told(Metric, metric)]}}


KINDS: list[tuple[list[Any], Callable[[Any], Body]]] = [
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
    """The member of a row: the row itself, or what stands first in it."""
    return case if hasattr(case, "type") else case[0]


EVERY = [pytest.param(body_of, case, id=member_of(case).type) for table, body_of in KINDS for case in table]


@pytest.mark.parametrize(("body_of", "case"), EVERY)
def test_a_member_trains(embedded: Api, body_of: Callable[[Any], Body], case: Any) -> None:
    job = embedded.trained(**body_of(case))
    assert (job["status"], job["error"], job["progress"]["epoch"]) == ("succeeded", None, 1)


def test_every_member_that_the_document_offers_is_posted(embedded: Api) -> None:
    schemas = embedded.client.get("/openapi.json").raise_for_status().json()["components"]["schemas"]
    types = (schema.get("properties", {}).get("type", {}).get("const") for schema in schemas.values())
    offered = sorted(filter(None, types))
    posted = {type(member_of(case)): member_of(case).type for table, _ in KINDS for case in table}
    assert offered == sorted([*posted.values(), *members(Data)]), "each member needs a row in tests/core/nn/cases.py"


def test_a_metric_that_is_not_defined_is_null(embedded: Api) -> None:
    body = a_body([[1], [2]], [[0], [0]], dense(1), loss="binary_cross_entropy")
    watched = {"epochs": 2, "metrics": ["roc_auc"], "early_stopping": {"monitor": "roc_auc"}}
    job = embedded.trained(**body | {"training": watched})
    assert (job["latest"]["roc_auc"], job["best"]["value"]) == (None, None)
    rows = embedded.client.get(f"/v1/jobs/{job['id']}/metrics?name=roc_auc").raise_for_status().json()["items"]
    assert [(row["value"], row["nonfinite"]) for row in rows] == [(None, "nan")] * len(rows) != []
    [saved] = embedded.client.get(f"/v1/jobs/{job['id']}/checkpoints").raise_for_status().json()["items"]
    assert saved["metrics"]["roc_auc"] is None
