"""The OpenAPI document: what each route takes and answers, with examples that run as they stand.

Bodies are validated by our own code, so their schemas are put into the components here and referred to.
"""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, models_json_schema
from pydantic_core.core_schema import DataclassSchema, ModelSchema

from api.http.problems import FACTS, MEDIA_TYPE, Fact, Problem
from api.http.problems import InvalidParameter as _InvalidParameter
from core.docstrings import attribute_docstrings

REF = "#/components/schemas/{model}"

MAKERS: Mapping[str, str] = MappingProxyType({"/v1/jobs": "job_id", "/v1/datasets": "dataset_id"})
"""Where things are made, and the parameter by which other routes know them."""

Examples = Mapping[str, Mapping[str, Any]]


def operation(
    *problems: type[Exception],
    answer: Any = None,
    body: type[BaseModel] | None = None,
    examples: Examples | None = None,
    content: Mapping[str, Any] | None = None,
    responses: Mapping[int, Any] | None = None,
) -> dict[str, Any]:
    """Arguments for a route's decorator.

    Parameters
    ----------
    problems
        The facts that this route may refuse with, beside those that any may.
    answer
        The view of its answer, as it is documented; the route serialises it itself.
    body, examples
        The model of its JSON body and bodies that run.
    content
        What it reads beside JSON, by media type.
    responses
        Other answers than JSON.
    """
    bodies: dict[str, Any] = {}
    if body is not None:
        bodies["application/json"] = {"schema": _ref(body), "examples": dict(examples or {})}
    bodies |= content or {}
    extra = {"requestBody": {"required": True, "content": bodies}} if bodies else None
    return {
        "response_model": answer,
        "responses": {**_problem_responses(problems), **(responses or {})},
        "openapi_extra": extra,
    }


def _problem_responses(problems: Sequence[type[Exception]]) -> dict[int | str, dict[str, Any]]:
    by_status: dict[int, list[Fact]] = {}
    for problem in [*problems, _InvalidParameter]:
        fact = FACTS[problem]
        by_status.setdefault(fact.status, []).append(fact)
    described = {status: "; ".join(map(_told, facts)) for status, facts in by_status.items()}
    content = {MEDIA_TYPE: {"schema": _ref(Problem)}}
    answers: dict[int | str, dict[str, Any]] = {
        status: {"description": text, "content": content} for status, text in sorted(described.items())
    }
    answers["default"] = {"description": "Any other problem", "content": content}
    return answers


def _told(fact: Fact) -> str:
    return f"{fact.title} (`{fact.code}`)"


def _ref(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": REF.format(model=model.__name__)}


def document(app: FastAPI, models: Sequence[type[BaseModel]]) -> dict[str, Any]:
    """The document of this app, with the schemas of these models among its components."""
    made = get_openapi(
        title=app.title, version=app.version, summary=app.summary, description=app.description, routes=app.routes
    )
    shown: list[type[BaseModel]] = [*models, Problem]
    wanted: list[tuple[type[BaseModel], Literal["validation"]]] = [(model, "validation") for model in shown]
    _, ours = models_json_schema(wanted, ref_template=REF, schema_generator=Described)
    components = made.setdefault("components", {}).setdefault("schemas", {})
    components.update(ours["$defs"])
    for schema in components.values():
        _with_required_type(schema)
    for methods in made["paths"].values():
        for one in methods.values():
            _without_impossible(one)
    for path, parameter in MAKERS.items():
        made["paths"][path]["post"]["responses"]["201"]["links"] = dict(_links(made["paths"], parameter))
    return made


class Described(GenerateJsonSchema):
    """Schemas whose properties say what the strings under the fields say."""

    def dataclass_schema(self, schema: DataclassSchema) -> JsonSchemaValue:
        """Of a dataclass."""
        return _described(super().dataclass_schema(schema), schema["cls"])

    def model_schema(self, schema: ModelSchema) -> JsonSchemaValue:
        """Of a model."""
        return _described(super().model_schema(schema), schema["cls"])


def _described(shown: JsonSchemaValue, owner: type) -> JsonSchemaValue:
    for name, text in attribute_docstrings(owner).items():
        if name in shown.get("properties", {}):
            shown["properties"][name].setdefault("description", text)
    return shown


def _with_required_type(schema: dict[str, Any]) -> None:
    """A member of a kind is told by its `type`, which a body cannot leave out though the dataclass has a default."""
    if "const" in schema.get("properties", {}).get("type", {}):
        schema["required"] = sorted({"type", *schema.get("required", ())})


def _without_impossible(operation: dict[str, Any]) -> None:
    """Take out the refusal of a parameter where none can be wrong: any text may stand for an id."""
    asked = {parameter["in"] for parameter in operation.get("parameters", ())}
    refusals = operation["responses"].get("422")
    if refusals is None or not asked <= {"path"}:
        return
    others = [one for one in refusals["description"].split("; ") if one != _told(FACTS[_InvalidParameter])]
    if others:
        refusals["description"] = "; ".join(others)
    else:
        del operation["responses"]["422"]


def _links(paths: Mapping[str, Any], parameter: str) -> Iterator[tuple[str, Any]]:
    """What can be asked of a thing that was just made, by its id."""
    for path, methods in paths.items():
        for operation in methods.values() if f"{{{parameter}}}" in path else ():
            name = operation["operationId"]
            yield name, {"operationId": name, "parameters": {parameter: "$response.body#/id"}}
