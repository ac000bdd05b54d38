"""A JSON body is read as bytes and validated once, strictly, by the model of its route.

FastAPI's own parsing lets NaN pass, turns strings into numbers and names its places differently.
"""

import math
import re
from collections.abc import Iterator
from typing import Annotated, Any, TypeVar

import pydantic_core
from fastapi import Depends, Request
from pydantic import BaseModel, ValidationError

from api.http.pointers import field_errors
from api.http.problems import InvalidBody, UnsupportedMediaType
from core.json_pointer import pointer

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
    if errors := _unkeepable(body):
        raise InvalidBody(errors, code)
    try:
        return model.model_validate_json(body, strict=True)
    except ValidationError as error:
        raise InvalidBody(field_errors(error, body), code) from None


_SUSPECT = re.compile(rb"NaN|Infinity|\\u0000|[0-9]{200}|[eE]\+?[0-9]{3}")  # few bodies have one
_NUL = "must not hold the NUL character: take it out"
_NOT_FINITE = "must be a finite number that a 64-bit float can hold"


def _unkeepable(body: bytes) -> list[tuple[str, str]]:
    """The places with what neither a column nor a float can hold, wherever in the body, of any type."""
    if not _SUSPECT.search(body):
        return []
    try:
        return list(_walk(pydantic_core.from_json(body, allow_inf_nan=True)))
    except ValueError:
        return []  # no JSON at all: the model says where


def _walk(value: Any, *place: str | int) -> Iterator[tuple[str, str]]:
    if isinstance(value, str) and "\0" in value:
        yield pointer(*place), _NUL
    elif isinstance(value, int | float) and not _finite(value):
        yield pointer(*place), _NOT_FINITE
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _walk(item, *place, index)
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _walk(name, *place)
            yield from _walk(item, *place, name)


def _finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond every float
        return False
