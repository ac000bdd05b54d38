"""Strict parsing of JSON bodies."""

from typing import Annotated, Any

import pytest
from annotated_types import Ge, Len
from pydantic import BaseModel, ConfigDict

from api.http.body import parse
from api.http.errors import InvalidBody


class Line(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    units: Annotated[int, Ge(1)] = 1
    rate: float = 0.5
    name: Annotated[str, Len(1, 5)] = "a"
    anything: Any = None


GOOD = [
    (b"{}", Line()),
    (b'{"rate": 2}', Line(rate=2.0)),
    ('{"name": "äöü"}'.encode(), Line(name="äöü")),
    (b'{"name": "NaN"}', Line(name="NaN")),
    (rb'{"anything": "a\\u0000"}', Line(anything="a\\u0000")),
    (b'{"anything": [1e-300, 1e+300, 1E300]}', Line(anything=[1e-300, 1e300, 1e300])),
    (b'{"anything": "\\ud83d\\ude00"}', Line(anything="\U0001f600")),
]

BAD = [
    (b"", "", "is not JSON"),
    (b"{", "", "is not JSON"),
    (b"[]", "", "must be an object"),
    (b"\xff", "", "is not JSON"),
    (b'{"units": 0}', "/units", "must be at least 1"),
    (b'{"units": "3"}', "/units", "must be an integer"),
    (b'{"units": 3.0}', "/units", "must be an integer"),
    (b'{"units": true}', "/units", "must be an integer"),
    (b'{"rate": "0.1"}', "/rate", "must be a number"),
    (b'{"rate": NaN}', "/rate", "finite"),
    (b'{"rate": -Infinity}', "/rate", "finite"),
    (b'{"rate": 1e400}', "/rate", "finite"),
    (b'{"rate": ' + b"9" * 400 + b"}", "/rate", "finite"),
    (b'{"rate": ' + b"9" * 250 + b"e99}", "/rate", "finite"),
    (b'{"rate": ' + b"9" * 5000 + b"}", "", "is not JSON"),
    (b'{"anything": [{"a/b": [1, NaN]}]}', "/anything/0/a~1b/1", "finite"),
    (b'{"anything": {"x": [[' + b"9" * 400 + b"]]}}", "/anything/x/0/0", "finite"),
    (b'{"anything": "a\\u0000b"}', "/anything", "NUL"),
    (b'{"anything": {"a\\u0000": 1}}', "/anything", "NUL"),
    (b'{"anything": "\\ud800"}', "", "is not JSON"),
    (b'{"anything": ' + b"[" * 5000 + b"]" * 5000 + b"}", "", "is not JSON"),
    (b'{"name": ""}', "/name", "at least 1 character"),
    (b'{"name": "abcdef"}', "/name", "at most 5 characters"),
    (b'{"unit": 3}', "/unit", "not a known field"),
]


@pytest.mark.parametrize(("body", "line"), GOOD)
def test_valid_body_is_parsed(body: bytes, line: Line) -> None:
    assert parse(Line, body) == line


@pytest.mark.parametrize(("body", "pointer", "words"), BAD)
def test_invalid_body_is_refused_with_pointer_and_message(body: bytes, pointer: str, words: str) -> None:
    with pytest.raises(InvalidBody) as caught:
        parse(Line, body, code="invalid_spec")
    assert caught.value.code == "invalid_spec"
    (error,) = caught.value.errors
    assert error.pointer == pointer
    assert words in error.message


def test_all_errors_of_a_body_are_listed() -> None:
    with pytest.raises(InvalidBody) as caught:
        parse(Line, b'{"units": 0, "rate": "x", "extra": 1}')
    assert [error.pointer for error in caught.value.errors] == ["/units", "/rate", "/extra"]
