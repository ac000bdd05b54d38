"""The OpenAPI document: parameters, bodies and responses of each route, with runnable examples.

`api.http.parsing` validates bodies, not FastAPI, so their schemas are added to the components here and referenced.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, models_json_schema
from pydantic_core.core_schema import DataclassSchema, ModelSchema, TaggedUnionSchema

from api.http.errors import InvalidParameter, NotAcceptable
from api.http.problem_types import PROBLEM_TYPES, ProblemType
from api.http.problems import MEDIA_TYPE, Problem
from core.docstrings import attribute_docstrings
from core.jobs.auto import AUTO
from core.nn.tagged_union import UNCHECKED

REF = "#/components/schemas/{model}"

COLLECTIONS: Mapping[str, str] = MappingProxyType({"/v1/jobs": "job_id", "/v1/datasets": "dataset_id"})
"""Each collection path, and the path parameter that identifies its items in other routes."""

Examples = Mapping[str, Mapping[str, Any]]


def operation(
    *problems: type[Exception],
    answer: Any = None,
    body: type[BaseModel] | None = None,
    examples: Examples | None = None,
    content: Mapping[str, Any] | None = None,
    responses: Mapping[int, Any] | None = None,
) -> dict[str, Any]:
    """Return the keyword arguments that document a route, for its decorator.

    Parameters
    ----------
    problems
        The errors that this route can answer with, besides those of every route.
    answer
        The model of the JSON response, for documentation only; the route serializes it itself.
    body, examples
        The model of the JSON body, and example bodies that the route accepts.
    content
        The bodies of other media types, by media type.
    responses
        Further responses, by status.
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
    by_status: dict[int, list[ProblemType]] = {}
    for problem in [*problems, InvalidParameter, NotAcceptable]:
        kind = PROBLEM_TYPES[problem]
        by_status.setdefault(kind.status, []).append(kind)
    descriptions = {status: "; ".join(map(_description, kinds)) for status, kinds in by_status.items()}
    content = {MEDIA_TYPE: {"schema": _ref(Problem)}}
    responses: dict[int | str, dict[str, Any]] = {
        status: {"description": text, "content": content} for status, text in sorted(descriptions.items())
    }
    responses["default"] = {"description": "Any other problem", "content": content}
    return responses


def _description(kind: ProblemType) -> str:
    return f"{kind.title} (`{kind.code}`)"


def _ref(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": REF.format(model=model.__name__)}


def document(app: FastAPI, models: Sequence[type[BaseModel]]) -> dict[str, Any]:
    """Return the OpenAPI document of this app, with the schemas of these models among its components."""
    openapi = get_openapi(
        title=app.title, version=app.version, summary=app.summary, description=app.description, routes=app.routes
    )
    _add_schemas(openapi, [*models, Problem])
    for methods in openapi["paths"].values():
        for operation in methods.values():
            _remove_impossible_problem(operation)
    for path, parameter in COLLECTIONS.items():
        created = openapi["paths"][path]["post"]["responses"]["201"]
        created["links"] = dict(_links(openapi["paths"], parameter))
    return openapi


def _add_schemas(openapi: dict[str, Any], models: Sequence[type[BaseModel]]) -> None:
    inputs: list[tuple[type[BaseModel], Literal["validation"]]] = [(model, "validation") for model in models]
    _, generated = models_json_schema(inputs, ref_template=REF, schema_generator=DescribedSchema)
    schemas = openapi.setdefault("components", {}).setdefault("schemas", {})
    schemas.update(generated["$defs"])
    schemas["Architecture"] = schemas["Sequential"] | {"title": "Architecture"}
    _allow_no_architecture(schemas["JobSpec"])
    for name, schema in schemas.items():
        if name != "Architecture":
            _require_type(schema)


def _allow_no_architecture(spec: dict[str, Any]) -> None:
    """Let a spec say `auto` or leave its architecture out, as the service completes it before it is validated."""
    described = spec["properties"]["architecture"]
    del described["$ref"]
    auto = {"const": AUTO, "type": "string"}
    described |= {"anyOf": [{"$ref": REF.format(model="Architecture")}, auto], "default": AUTO}
    described["description"] += " Left out or `auto`: a net for the data is chosen, and stands in the job's spec."
    spec["required"].remove("architecture")


class DescribedSchema(GenerateJsonSchema):
    """JSON schemas whose property descriptions are the docstrings of the fields.

    A default that is an object stands in the description: generators of clients refuse it beside `oneOf`.
    """

    def dataclass_schema(self, schema: DataclassSchema) -> JsonSchemaValue:
        """Return the schema of a dataclass."""
        return _with_descriptions(super().dataclass_schema(schema), schema["cls"])

    def model_schema(self, schema: ModelSchema) -> JsonSchemaValue:
        """Return the schema of a model."""
        return _with_descriptions(super().model_schema(schema), schema["cls"])

    def tagged_union_schema(self, schema: TaggedUnionSchema) -> JsonSchemaValue:
        """Return the schema of a union, without the form of values that are not checked."""
        choices = {tag: choice for tag, choice in schema["choices"].items() if tag != UNCHECKED}
        return super().tagged_union_schema({**schema, "choices": choices})


def _with_descriptions(schema: JsonSchemaValue, owner: type) -> JsonSchemaValue:
    for name, text in attribute_docstrings(owner).items():
        if name in schema.get("properties", {}):
            schema["properties"][name].setdefault("description", text)
    for described in schema.get("properties", {}).values():
        if isinstance(default := described.get("default"), dict):
            described["description"] = f"{described.get('description', '')} Default: `{json.dumps(default)}`.".strip()
            del described["default"]
    return schema


def _require_type(schema: dict[str, Any]) -> None:
    """Mark the `type` of a union's member as required: the union needs it, although the dataclass has a default.

    Only `Architecture` needs none: it is a `Sequential` outside of a union.
    """
    if "const" in schema.get("properties", {}).get("type", {}):
        schema["required"] = sorted({"type", *schema.get("required", ())})


def _remove_impossible_problem(operation: dict[str, Any]) -> None:
    """Remove `not_acceptable` from an operation without content."""
    responses = operation["responses"]
    if not any("content" in responses[status] for status in responses if status.startswith("2")):
        del responses["406"]


def _links(paths: Mapping[str, Any], parameter: str) -> Iterator[tuple[str, Any]]:
    """Yield a link to each operation on an item, given the id in the response that created it."""
    for path, methods in paths.items():
        for operation in methods.values() if f"{{{parameter}}}" in path else ():
            name = operation["operationId"]
            yield name, {"operationId": name, "parameters": {parameter: "$response.body#/id"}}
