"""Examples of right values, made from the schema of a place, for messages about values of a wrong shape."""

import json
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from api.http.json_schema import Document, Form, objects, type_of

MAX_EXAMPLE_CHARACTERS = 200
SHOWN_FIELDS = 2
"""Fields of an example, if none is required."""

TYPICAL: Mapping[str, Any] = MappingProxyType(
    {
        "monitor": "val_loss",
        "patience": 5,
        "fraction": 0.2,
        "validation": {"fraction": 0.2},
        "test": 0.2,
        "units": 16,
        "filters": 16,
        "rate": 0.5,
        "x": [[1.0], [2.0]],
        "y": [2.0, 4.0],
        "job": "latest",
        "value": 0.1,
        "learning_rate": 0.001,
        "features": ["age", "income"],
        "target": "price",
        "column": "date",
        "id": "latest",
        "maxlen": 100,
        "flops": 10**9,
        "memory": 10**9,
    }
)
"""Values of fields whose type alone gives no telling example."""


def example(document: Document, forms: Sequence[Form]) -> str | None:
    """Return an example of the first form that is an object or a list, as JSON; None where there is none."""
    shown = [*objects(forms), *(form for form in forms if form.get("type") in ("array", "object"))]
    for form in sorted(shown, key=lambda form: type_of(form) != (form.get("default") or {}).get("type", "")):
        text = json.dumps(_value(document, form), ensure_ascii=False)
        if len(text) <= MAX_EXAMPLE_CHARACTERS:
            return text
    return None


def _value(document: Document, form: Form) -> Any:
    if "properties" in form:
        return _object(document, form)
    for name in ("const", "default"):
        if form.get(name) not in (None, {}):
            return form[name]
    if "enum" in form:
        return form["enum"][0]
    kind = str(form.get("type"))
    if kind in _CONTAINERS:
        return _CONTAINERS[kind](document, form)
    return _SCALARS[kind](form) if kind in _SCALARS else 1.0


def _object(document: Document, form: Form) -> dict[str, Any]:
    fields = form["properties"]
    required = [name for name in form.get("required", ()) if name != "type"]
    optional = [name for name in fields if name not in required and name != "type"]
    telling = [name for name in optional if _is_typical(document.forms(fields[name]), name)]
    telling += [name for name in optional if isinstance(fields[name].get("default"), int | float)]
    names = required or list(dict.fromkeys(telling))[:SHOWN_FIELDS]
    tag = {"type": type_of(form)} if type_of(form) else {}
    return tag | {name: _field(document, fields[name], name) for name in names}


def _field(document: Document, schema: Mapping[str, Any], name: str) -> Any:
    forms = document.forms(schema)
    if _is_typical(forms, name):
        return TYPICAL[name]
    return _value(document, next((form for form in forms if form.get("type") != "null"), {}))


def _is_typical(forms: Sequence[Form], name: str) -> bool:
    return name in TYPICAL and any(form.get("type") in (_json_type(TYPICAL[name]), None) for form in forms)


def _json_type(value: Any) -> str:
    names = {int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return names.get(type(value), "")


def _number(form: Form) -> float:
    low = form.get("minimum", form.get("exclusiveMinimum", 0))
    high = form.get("maximum", form.get("exclusiveMaximum", low + 1))
    return float(low + min(high - low, 1) / 2)


def _integer(form: Form) -> int:
    return int(form.get("minimum", 1)) or 1


def _array(document: Document, form: Form) -> list[Any]:
    if "prefixItems" in form:
        return [_field(document, item, "") for item in form["prefixItems"]]
    return [_field(document, form.get("items", {}), "")] * max(1, int(form.get("minItems", 1)))


def _map(document: Document, form: Form) -> dict[str, Any]:
    return {"key": _field(document, form.get("additionalProperties") or {"type": "string"}, "")}


_SCALARS: Mapping[str, Callable[[Form], Any]] = MappingProxyType(
    {"number": _number, "integer": _integer, "string": lambda _: "text", "boolean": lambda _: True}
)
_CONTAINERS: Mapping[str, Callable[[Document, Form], Any]] = MappingProxyType({"array": _array, "object": _map})
