"""JSON bodies: read as bytes and validated once, strictly, by the model of the route.

FastAPI's own parsing accepts NaN, converts strings to numbers and reports locations in another form.
"""

import math
import re
from collections.abc import Iterator
from typing import Annotated, Any, TypeVar

import pydantic_core
from fastapi import Depends, Request
from pydantic import BaseModel, ValidationError

from api.http.errors import InvalidBody, UnsupportedMediaType
from api.http.pointers import field_errors
from core.json_pointer import pointer

Model = TypeVar("Model", bound=BaseModel)


async def _read(request: Request) -> bytes:
    return await request.body()


RawBody = Annotated[bytes, Depends(_read)]


async def _read_json(request: Request) -> bytes:
    kind = media_type(request)
    if kind != "application/json" and not kind.endswith("+json"):
        raise UnsupportedMediaType(kind, ["application/json"])
    return await request.body()


JsonBody = Annotated[bytes, Depends(_read_json)]


def media_type(request: Request) -> str:
    """Return the request's media type in lower case, without parameters; empty if the header is missing."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def parse(model: type[Model], body: bytes, *, code: str = "invalid_body") -> Model:
    """Return the body as a model. Raise `InvalidBody` with every invalid place."""
    if errors := _unstorable_values(body):
        raise InvalidBody(errors, code)
    try:
        return model.model_validate_json(body, strict=True)
    except ValidationError as error:
        raise InvalidBody(field_errors(error, body), code) from None


_SUSPECT = re.compile(rb"NaN|Infinity|\\u0000|[0-9]{200}|[eE]\+?[0-9]{3}")  # few bodies match, so few are walked
_NUL_MESSAGE = "contains the NUL character: remove it"
_NONFINITE_MESSAGE = "must be a finite number that a 64-bit float can represent"


def _unstorable_values(body: bytes) -> list[tuple[str, str]]:
    """Return pointer and message of each NUL character and each number that no finite float represents."""
    if not _SUSPECT.search(body):
        return []
    try:
        return list(_walk(pydantic_core.from_json(body, allow_inf_nan=True)))
    except ValueError:
        return []  # not JSON: the model reports the position


def _walk(value: Any, *path: str | int) -> Iterator[tuple[str, str]]:
    if isinstance(value, str) and "\0" in value:
        yield pointer(*path), _NUL_MESSAGE
    elif isinstance(value, int | float) and not _is_finite(value):
        yield pointer(*path), _NONFINITE_MESSAGE
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _walk(item, *path, index)
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _walk(name, *path)
            yield from _walk(item, *path, name)


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer too large for a float
        return False
