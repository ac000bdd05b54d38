"""The outline of a large spec: all of it but its large values, which are in the text as posted."""

from collections.abc import Mapping
from typing import Any

import pydantic_core

MAX_TEXT_BYTES = 2**16
"""Size up to which the text of a spec is stored in a row; a larger one is stored as a blob, with an outline of it."""
MAX_VALUE_COST = 2**13
"""About the bytes of JSON up to which an outline keeps a value; it has fewer than ten fields of two levels."""
OMITTED = "omitted: GET /v1/jobs/{job_id}/spec returns it"


def row_text(text: bytes) -> str:
    """Return what a row stores of a spec, a valid JSON object: its text, or the outline of a large one."""
    return (outline(text) if len(text) > MAX_TEXT_BYTES else text).decode()


def outline(text: bytes) -> bytes:
    """Return the JSON of a spec in which `OMITTED` stands for each large value.

    A large object at the top, such as `data`, keeps its small fields. The time is that of parsing the text.

    Parameters
    ----------
    text
        A JSON object as UTF-8.
    """
    spec: Mapping[str, Any] = pydantic_core.from_json(text)
    return pydantic_core.to_json({name: _shortened(value, depth=1) for name, value in spec.items()})


def _shortened(value: Any, depth: int) -> Any:
    if _cost(value, MAX_VALUE_COST) <= MAX_VALUE_COST:
        return value
    if depth and isinstance(value, Mapping):
        return {name: _shortened(inner, depth - 1) for name, inner in value.items()}
    return OMITTED


def _cost(value: Any, enough: int) -> int:
    """Return about how many bytes of JSON a value has; where that is more than `enough`, any larger number."""
    if isinstance(value, str):
        return len(value) + 2
    if not isinstance(value, Mapping | list):
        return 8
    cost = 2
    for inner in value:
        cost += _cost(inner, enough - cost) + 2
        if isinstance(value, Mapping):
            cost += _cost(value[inner], enough - cost)
        if cost > enough:
            break
    return cost
