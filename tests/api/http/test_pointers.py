"""Pydantic locations become JSON pointers into the body, without the tags of unions."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pydantic_core
import pytest
from annotated_types import Ge
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core._pydantic_core import list_all_errors

from api.app import create_app
from api.http.patterns import PATTERN_MESSAGES
from api.http.pointers import field_errors, locate, message
from core.nn.tagged_union import Tagged
from core.settings import Settings


@dataclass(frozen=True)
class Relu:
    type: Literal["relu"] = "relu"
    slope: Annotated[float, Ge(0)] = 0.0


@dataclass(frozen=True)
class Tanh:
    type: Literal["tanh"] = "tanh"


@dataclass(frozen=True)
class Dense:
    units: Annotated[int, Ge(1)]
    activation: Annotated[Relu | Tanh, Tagged("Activation")] = Tanh()
    type: Literal["dense"] = "dense"


@dataclass(frozen=True)
class Flatten:
    type: Literal["flatten"] = "flatten"


class Net(BaseModel):
    model_config = ConfigDict(extra="forbid")

    layers: list[Annotated[Dense | Flatten, Tagged("Layer")]]
    object: int = 0


CASES: list[tuple[dict[str, Any], str, str]] = [
    ({}, "/layers", "is required"),
    ({"layers": {}}, "/layers", "must be a list"),
    ({"layers": [], "object": "1"}, "/object", "must be an integer"),
    ({"layers": [7]}, "/layers/0", 'must be an object with its "type"'),
    ({"layers": ["flaten"]}, "/layers/0", "'flatten'"),
    ({"layers": [{"units": 3}]}, "/layers/0", 'needs a "type"'),
    ({"layers": [{"type": "dens"}]}, "/layers/0", "'dense', 'flatten'"),
    ({"layers": [{"type": "dense"}]}, "/layers/0/units", "is required"),
    ({"layers": [{"type": "dense", "units": 0}]}, "/layers/0/units", "at least 1"),
    ({"layers": [{"type": "dense", "units": 1, "dense": 2}]}, "/layers/0/dense", "not a known field"),
    ({"layers": [{"type": "dense", "units": 1, "a/b~": 2}]}, "/layers/0/a~1b~0", "not a known field"),
    ({"layers": [{"type": "dense", "units": 1, "activation": "relv"}]}, "/layers/0/activation", "'relu'"),
    (
        {"layers": ["flatten", {"type": "dense", "units": 1, "activation": {"type": "relu", "slope": -1}}]},
        "/layers/1/activation/slope",
        "at least 0",
    ),
]


@pytest.mark.parametrize(("body", "pointer", "words"), CASES)
def test_error_points_into_the_body(body: dict[str, Any], pointer: str, words: str) -> None:
    sent = pydantic_core.to_json(body)
    with pytest.raises(ValidationError) as caught:
        Net.model_validate_json(sent, strict=True)
    ((found, message),) = field_errors(caught.value, sent)
    assert found == pointer
    assert words in message


def test_unparsable_body_has_an_empty_pointer() -> None:
    assert locate(("layers", 0), object()) == ""


@pytest.mark.parametrize("error", list_all_errors(), ids=lambda error: error["type"])
def test_no_message_of_any_error_contains_a_pattern(error: Any) -> None:
    pattern = r"^[\x21-\x7e]{1,3}$"
    context = dict(error.get("example_context") or {}) | {"pattern": pattern}
    text = message({"type": error["type"], "msg": error["message_template_python"], "ctx": context})
    assert text
    assert pattern not in text


def test_message_quotes_the_start_of_a_long_tag() -> None:
    context = {"tag": "a" * 10**6, "expected_tags": "'b'", "discriminator": "'type'"}
    assert len(message({"type": "union_tag_invalid", "msg": "", "ctx": context})) < 300


def patterns(schema: Any) -> set[str]:
    """Every `pattern` within a JSON schema."""
    inner = schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ()
    own = {schema["pattern"]} if isinstance(schema, dict) and isinstance(schema.get("pattern"), str) else set()
    return own.union(*map(patterns, inner))


def test_every_pattern_of_the_api_has_a_message() -> None:
    found = patterns(create_app(Settings()).openapi())
    assert found
    assert found <= PATTERN_MESSAGES.keys()
    for pattern, text in PATTERN_MESSAGES.items():
        assert message({"type": "string_pattern_mismatch", "msg": pattern, "ctx": {"pattern": pattern}}) == text
        assert not set("^$\\") & set(text)
