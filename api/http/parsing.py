"""JSON bodies, validated once, strictly, by the model of their route.

FastAPI's own parsing accepts NaN, converts strings to numbers and reports locations in another form. Processes of the
compute pool import this module, so it imports no more of the API than it needs.
"""

import re
from codecs import BOM_UTF8
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from typing import Any, Final, TypeAlias, TypeVar

import pydantic_core
from pydantic import BaseModel, ValidationError

from api.http.errors import InvalidBody
from api.http.json_values import (
    count_names,
    count_sent_names,
    count_values,
    is_numbers,
    is_storable,
    repeated_names,
    structure_errors,
    unstorable_values,
)
from api.http.pointers import field_errors
from core.json_pointer import pointer
from core.nn.tagged_union import bounded_validation

Model = TypeVar("Model", bound=BaseModel)

SMALL_BYTES = 2**12
"""Bodies up to this size can have only as many values and errors as do no harm."""
MAX_VALUES = 1_500_000
"""Values of a body: numbers, texts, lists, objects. Each takes up to a hundred bytes while it is checked."""
Rows: TypeAlias = dict[tuple[str, ...], list[Any]]
"""The rows of a body, by their place."""

MAX_FOUND = 1000
"""Errors of one kind that are counted."""
MAX_COUNTED_ROWS = 5000
WEIGHTS: Final = ("data", "sample_weight")
ROWS: Final = (("data", "x"), ("data", "y"), WEIGHTS, ("instances",), ("targets",))
"""Where bodies have rows of any values, which are checked with the data and not by the model."""

_TOO_MANY_VALUES = (
    f"has more than {MAX_VALUES:,} numbers, texts and lists: upload the data with POST /v1/datasets, or send less"
)
_SUSPECT = re.compile(rb"NaN|Infinity|\\u0000|[0-9]{200}|[eE]\+?[0-9]{3}")  # few bodies match


def parse(model: type[Model], body: bytes, *, code: str = "invalid_body") -> Model:
    """Return the body as a model. Raise `InvalidBody` with the first invalid places."""
    body = without_mark(body)
    if len(body) > SMALL_BYTES or _SUSPECT.search(body):
        return _parse_in_parts(model, body, code)
    with suppress(ValueError):  # the model reports what is not JSON
        _require_single_names(pydantic_core.from_json(body), body, code)
    return _validate(model, body, code)


def without_mark(body: bytes) -> bytes:
    """Return a JSON text without the byte-order mark of UTF-8, which some programs write before it."""
    return body.removeprefix(BOM_UTF8)


def _require_single_names(tree: Any, body: bytes, code: str) -> None:
    """Raise `InvalidBody` with each name that is given twice in an object; parsers keep the last."""
    if count_names(tree) != count_sent_names(body):
        raise InvalidBody(repeated_names(body), code)


def _parse_in_parts(model: type[Model], body: bytes, code: str) -> Model:
    """Validate all but the rows of data by the model, since rows can have any values.

    Pydantic keeps up to 300 bytes for each list while it validates JSON, and an error for each unknown name.
    """
    structure, rows = _split(body, code)
    return _with_rows(_validate(model, structure, code), rows)


def _split(body: bytes, code: str) -> tuple[bytes, Rows]:
    """Return a body with a few zeros in place of its rows, and the rows. Raise `InvalidBody`."""
    if count_values(body) > MAX_VALUES:
        raise InvalidBody([("", _TOO_MANY_VALUES)], code)
    try:
        tree = pydantic_core.from_json(body, allow_inf_nan=True)
    except ValueError as error:
        raise InvalidBody([("", f"is not JSON: {error}")], code) from None
    _require_single_names(tree, body, code)
    if not is_storable(tree):
        raise InvalidBody(list(islice(unstorable_values(tree), MAX_FOUND)), code)
    rows = _take_rows(tree)
    if errors := structure_errors(tree):
        raise InvalidBody(errors, code)
    return pydantic_core.to_json(tree), rows


def _validate(model: type[Model], body: bytes, code: str) -> Model:
    try:
        with bounded_validation():
            return model.model_validate_json(body, strict=True)
    except ValidationError as error:
        errors = field_errors(error, body, model)
    raise InvalidBody(errors, code)


def _take_rows(tree: Any) -> Rows:
    """Replace the rows in a body by a few zeros, and return them by their place."""
    taken: Rows = {}
    for path in ROWS:
        owner = tree
        for step in path[:-1]:
            owner = owner.get(step) if isinstance(owner, dict) else None
        if isinstance(owner, dict) and isinstance(rows := owner.get(path[-1]), list):
            if path == WEIGHTS:
                _require_weights(rows)
            taken[path] = rows
            owner[path[-1]] = [0] * min(len(rows), MAX_COUNTED_ROWS)
    return taken


def _require_weights(values: list[Any]) -> None:
    """Raise `InvalidBody` at the first weight that is not a number of at least 0, as the model would."""
    if is_numbers(values) and min(values, default=0) >= 0:
        return
    index = next(i for i, value in enumerate(values) if not (is_numbers([value]) and value >= 0))
    raise InvalidBody([(pointer(*WEIGHTS, index), "must be a number of at least 0")], "invalid_spec")


def _with_rows(parsed: Model, rows: Rows) -> Model:
    """Return the model with these rows at their places."""
    for (field, *inner), values in rows.items():
        value = replace(getattr(parsed, field), **{inner[0]: values}) if inner else values
        parsed = parsed.model_copy(update={field: value})
    return parsed
