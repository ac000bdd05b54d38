"""A JSON body is read as bytes and validated once, strictly, by the model of its route.

FastAPI's own parsing lets NaN pass, turns strings into numbers and names its places differently.
"""

from typing import Annotated, Any, TypeVar

import pydantic_core
from fastapi import Depends, Request
from pydantic import BaseModel, ValidationError

from api.pointers import field_errors, pointer
from api.problems import InvalidBody, UnsupportedMediaType

Model = TypeVar("Model", bound=BaseModel)


async def _read(request: Request) -> bytes:
    return await request.body()


RawBody = Annotated[bytes, Depends(_read)]


async def _read_json(request: Request) -> bytes:
    kind = media_type(request)
    if kind not in {"", "application/json"} and not kind.endswith("+json"):
        raise UnsupportedMediaType(kind, ["application/json"])
    return await request.body()


JsonBody = Annotated[bytes, Depends(_read_json)]


def media_type(request: Request) -> str:
    """The request's media type in lower case, without its parameters; empty where none was sent."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def parse(model: type[Model], body: bytes, *, code: str = "invalid_body") -> Model:
    """The body as a model. `InvalidBody` lists every place that is wrong."""
    try:
        parsed = model.model_validate_json(body, strict=True)
    except ValidationError as error:
        raise InvalidBody(field_errors(error, body), code) from None
    refuse_nul(body, code)
    return parsed


def refuse_nul(body: bytes, code: str = "invalid_body") -> None:
    """Refuse NUL in any string or name of this JSON: Postgres cannot store it, and no name needs it."""
    if b"\\u0000" not in body:  # raw NULs are no JSON at all, so the escape is the only way in
        return
    errors = [(place, "must not hold the NUL character: take it out") for place in _nuls(pydantic_core.from_json(body))]
    if errors:
        raise InvalidBody(errors, code)


def _nuls(value: Any, *place: str | int) -> list[str]:
    if isinstance(value, str):
        return [pointer(*place)] if "\0" in value else []
    if isinstance(value, list):
        return [found for index, item in enumerate(value) for found in _nuls(item, *place, index)]
    if isinstance(value, dict):
        names = [pointer(*place)] if any("\0" in name for name in value) else []
        return names + [found for name, item in value.items() for found in _nuls(item, *place, name)]
    return []
