"""A JSON schema, read along a path into a body."""

from api.http.json_schema import ABSENT, child_of, document, objects, type_of
from core.jobs.spec import JobSpec

BODY = {"architecture": {"layers": [{"type": "dense", "units": 1}]}, "optimizer": "adam", "data": {"type": "builtin"}}


def test_forms_are_those_of_the_type_in_the_body() -> None:
    (dense,) = document(JobSpec).at(["architecture", "layers", 0], BODY)
    assert type_of(dense) == "dense"
    assert "units" in dense["properties"]


def test_forms_of_an_unknown_type_are_those_of_all() -> None:
    forms = objects(document(JobSpec).at(["loss"], {"loss": {"type": "mse"}}))
    assert "mean_squared_error" in {type_of(form) for form in forms}


def test_places_are_those_of_the_sent_and_default_objects() -> None:
    places = set(document(JobSpec).places(BODY))
    assert {("training", "epochs"), ("optimizer", "learning_rate"), ("data", "name")} <= places
    assert {("training", "early_stopping", "patience"), ("data", "validation", "fraction")} <= places
    assert ("data", "x") not in places


def test_child_of() -> None:
    assert child_of({"a": 1}, "a") == child_of([1], 0) == 1
    assert child_of({}, "a") is child_of([], 0) is child_of(7, "a") is ABSENT
