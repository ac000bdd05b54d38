"""Each example that a message shows is valid at its place."""

import json
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, create_model

from api.http.examples import MAX_EXAMPLE_CHARACTERS, example
from api.http.json_schema import Document, objects, type_of
from core.data.sources import Data
from core.jobs.spec import JobLimits, JobSpec, StartFrom
from core.nn.activations import Activation
from core.nn.constraints import Constraint
from core.nn.initializers import Initializer
from core.nn.layers.composite import Layer
from core.nn.losses import Loss
from core.nn.metrics import Metric
from core.nn.optimizers.wrappers import Optimizer
from core.nn.regularizers import Regularizer
from core.nn.schedules import Schedule
from core.nn.training.mixup import Mixup
from core.nn.training.options import Training
from core.nn.training.stopping import Convergence, EarlyStopping, ReduceLrOnPlateau, TargetMetric

UNIONS: list[Any] = [
    Activation,
    Constraint,
    Data,
    Initializer,
    Layer,
    Loss,
    Metric,
    Optimizer,
    Regularizer,
    Schedule,
]
OBJECTS: list[Any] = [
    Convergence,
    EarlyStopping,
    JobLimits,
    Mixup,
    ReduceLrOnPlateau,
    StartFrom,
    TargetMetric,
    Training,
]


def model_of(kind: Any) -> type[BaseModel]:
    return create_model("Body", __config__=ConfigDict(extra="forbid", strict=True), field=(kind, ...))


@pytest.mark.parametrize("kind", [*UNIONS, *OBJECTS])
def test_example_of_each_member_is_valid(kind: Any) -> None:
    model = model_of(kind)
    document = Document(model)
    forms = objects(document.at(["field"], {}))
    assert forms
    for form in forms:
        text = example(document, [form])
        assert text, type_of(form)
        assert len(text) <= MAX_EXAMPLE_CHARACTERS
        model.model_validate_json(json.dumps({"field": json.loads(text)}))


def test_every_field_of_a_spec_that_is_an_object_has_a_valid_example() -> None:
    document = Document(JobSpec)
    shown = 0
    for name in JobSpec.model_fields:
        if text := example(document, document.at([name], {})):
            model_of(JobSpec.model_fields[name].rebuild_annotation()).model_validate_json(f'{{"field": {text}}}')
            shown += 1
    assert shown >= 8
