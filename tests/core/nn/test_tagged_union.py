"""Members of each kind: their rows in the tables of cases, their docs, and their JSON."""

import json
from dataclasses import dataclass, fields
from functools import cache
from typing import Annotated, Any, Literal

import pytest
from pydantic import TypeAdapter, ValidationError

from core.data.encoders import EncoderOptions
from core.docstrings import attribute_docstrings
from core.nn.activations import Activation, Relu
from core.nn.constraints import Constraint
from core.nn.initializers import Initializer
from core.nn.layers.composite import Layer
from core.nn.losses import Loss
from core.nn.metrics import Metric
from core.nn.optimizers.sgd import StochasticGradientDescent
from core.nn.optimizers.wrappers import Optimizer
from core.nn.regularizers import Regularizer
from core.nn.schedules import ConstantRate, Schedule
from core.nn.tagged_union import MAX_INVALID_PARTS, Tagged, bounded_validation, members
from tests.core.data.encoders import cases as encoder_cases
from tests.core.nn import cases

TABLES: list[tuple[Any, list[Any]]] = [
    (Layer, [case.layer for case in cases.LAYERS]),
    (Activation, cases.ACTIVATIONS),
    (Loss, [case.loss for case in cases.LOSSES]),
    (Optimizer, cases.OPTIMIZERS),
    (Schedule, [case.schedule for case in cases.SCHEDULES]),
    (Initializer, [case[0] for case in cases.INITIALIZERS]),
    (Regularizer, [case[0] for case in cases.REGULARIZERS]),
    (Constraint, [case[0] for case in cases.CONSTRAINTS]),
    (Metric, [case[0] for case in cases.METRICS]),
    (EncoderOptions, [case.options for case in encoder_cases.CASES.values()]),
]
ALL = [(kind, member) for kind, table in TABLES for member in table]


@cache
def adapter_of(kind: Any) -> TypeAdapter[Any]:
    """Return the validator of a kind's members."""
    return TypeAdapter(kind)


@pytest.mark.parametrize(("kind", "table"), TABLES, ids=[str(i) for i in range(len(TABLES))])
def test_every_member_has_a_case(kind: Any, table: list[Any]) -> None:
    assert set(members(kind).values()) == {type(member) for member in table}


@pytest.mark.parametrize(("kind", "member"), ALL, ids=lambda v: getattr(v, "type", ""))
def test_member_round_trips_through_json(kind: Any, member: Any) -> None:
    adapter = adapter_of(kind)
    assert adapter.validate_json(adapter.dump_json(member)) == member


@pytest.mark.parametrize("member", [m for kind, _ in TABLES for m in members(kind).values()], ids=lambda m: m.__name__)
def test_member_and_its_fields_have_docstrings(member: Any) -> None:
    assert member.__doc__
    assert not member.__doc__.startswith(f"{member.__name__}(")
    assert {field.name for field in fields(member)} - {"type"} <= attribute_docstrings(member).keys()


def test_bare_name_is_parsed_as_its_member() -> None:
    assert TypeAdapter(Activation).validate_json('"relu"') == Relu()


def test_bare_number_is_parsed_as_a_constant_rate() -> None:
    optimizer = TypeAdapter(Optimizer).validate_json('{"type": "sgd", "learning_rate": 0.5}')
    assert optimizer == StochasticGradientDescent(learning_rate=ConstantRate(learning_rate=0.5))


@pytest.mark.parametrize("rate", ["0", "-1", "true", '"fast"', "NaN", "1e999", "[]", '{"type": "cosine"}'])
def test_invalid_learning_rate_is_refused(rate: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Optimizer).validate_json(f'{{"type": "sgd", "learning_rate": {rate}}}')


def test_optimizer_of_several_passes_cannot_be_wrapped() -> None:
    clipped = '{"type": "clip_by_norm", "max_norm": 1, "optimizer": %s}'
    sharpness_aware = '{"type": "sharpness_aware", "optimizer": %s}'
    TypeAdapter(Optimizer).validate_json(sharpness_aware % (clipped % '"sgd"'))
    for wrong in (sharpness_aware % '"sgd"', '{"type": "lbfgs"}'):
        for wrapper in (clipped, sharpness_aware):
            with pytest.raises(ValidationError, match="found using 'type' does not match any of the expected tags"):
                TypeAdapter(Optimizer).validate_json(wrapper % wrong)


def test_union_of_one_class_has_one_member() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Only:
        type: Literal["only"] = "only"

    assert members(Annotated[Only, Tagged("Choice")]) == {"only": Only}


@pytest.mark.parametrize("wrong", ["1", '"relv"', '{"type": "dense", "units": 0}', "[]", '{"units": 1}'])
def test_bounded_validation_stops_to_check_after_many_errors(wrong: str) -> None:
    text = f"[{', '.join([wrong] * 1_000)}]"
    kind: TypeAdapter[Any] = TypeAdapter(list[Layer])
    with pytest.raises(ValidationError) as caught, bounded_validation():
        kind.validate_json(text)
    assert caught.value.error_count() == MAX_INVALID_PARTS
    with pytest.raises(ValidationError) as caught:
        kind.validate_json(text)
    assert caught.value.error_count() == 1_000


def test_bounded_validation_checks_all_of_many_valid_parts() -> None:
    kind: TypeAdapter[Any] = TypeAdapter(list[Layer])
    with pytest.raises(ValidationError) as caught, bounded_validation():
        kind.validate_json(json.dumps(["flatten"] * 5_000 + [1]))
    ((place, *_),) = [error["loc"] for error in caught.value.errors()]
    assert place == 5_000
