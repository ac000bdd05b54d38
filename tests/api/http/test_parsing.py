"""Strict parsing of JSON bodies."""

import json
import subprocess
import sys
from typing import Annotated, Any

import pytest
from annotated_types import Ge, Len
from pydantic import BaseModel, ConfigDict

from api.http.errors import InvalidBody
from api.http.parsing import SMALL_BYTES, parse
from api.schemas.prediction import PredictionRequest
from core.data.sources.inline import Inline
from core.jobs.examples import DOUBLING
from core.jobs.spec import JobSpec
from tests.api.http.large_bodies import LARGE_SPECS


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


def test_first_20_errors_are_listed_and_the_others_counted() -> None:
    with pytest.raises(InvalidBody) as caught:
        parse(Line, json.dumps({str(n): n for n in range(90)}).encode())
    assert len(caught.value.errors) == 20
    assert caught.value.more_errors == 70
    assert "and 89 more" in str(caught.value)


ROWS = [[float(n), -n / 3] for n in range(1_000)]


def test_rows_of_a_large_body_are_parsed_unchanged() -> None:
    weights = [n / 1_000 for n in range(1_000)]
    data = {"type": "inline", "x": ROWS, "y": ["a", "b"] * 500, "sample_weight": weights}
    body = json.dumps(DOUBLING | {"data": data}).encode()
    assert len(body) > SMALL_BYTES
    found = parse(JobSpec, body)
    assert isinstance(found.data, Inline)
    assert (found.data.x, found.data.y, found.data.sample_weight) == (ROWS, ["a", "b"] * 500, weights)
    assert found == JobSpec.model_validate_json(body)
    assert parse(PredictionRequest, json.dumps({"instances": ROWS}).encode()).instances == ROWS


@pytest.mark.parametrize("wrong", [-1, "a", None, True, [1]])
def test_first_wrong_weight_of_a_large_body_is_named(wrong: Any) -> None:
    data = {"type": "inline", "x": ROWS, "y": ROWS, "sample_weight": [1.0] * 700 + [wrong] * 300}
    with pytest.raises(InvalidBody) as caught:
        parse(JobSpec, json.dumps(DOUBLING | {"data": data}).encode(), code="invalid_spec")
    ((pointer, message),) = [(error.pointer, error.message) for error in caught.value.errors]
    assert pointer == "/data/sample_weight/700"
    assert "at least 0" in message


@pytest.mark.parametrize("rows", [[], [1] * 5_000, {"a": 1}])
def test_wrong_rows_of_a_large_body_are_refused_as_in_a_small_one(rows: Any) -> None:
    found = []
    for padding in ("", "x" * SMALL_BYTES):
        with pytest.raises(InvalidBody) as caught:
            parse(JobSpec, json.dumps({"data": {"type": "inline", "x": rows, "y": 1}, "loss": padding}).encode())
        found.append([error.pointer for error in caught.value.errors])
    assert found[0] == found[1]


IN_A_PROCESS = (
    "a million wrong layers",
    "layers with unknown names",
    "layers nested deep",
    "a long name",
    "many schedules",
    "many rows of one number",
    "unknown names",
)


def test_worst_bodies_take_bounded_memory() -> None:
    """The others take seconds: `python -m tests.api.http.large_bodies` checks all."""
    command = [sys.executable, "-m", "tests.api.http.large_bodies", *IN_A_PROCESS]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_million_wrong_layers_have_one_short_error() -> None:
    with pytest.raises(InvalidBody) as caught:
        parse(JobSpec, LARGE_SPECS["a million wrong layers"](), code="invalid_spec")
    (error,) = caught.value.errors
    assert error.pointer == "/architecture/layers"
    assert "1,000,000 items" in error.message


REPEATED = [
    (b'{"name": "a", "name": "b"}', ["/name"]),
    (b'{"anything": {"a": 1, "b": {"c/d": 1, "c/d": 1}}}', ["/anything/b/c~1d"]),
    (b'{"anything": [[1], {"a": 1, "\\u0061": 2, "a": 3}]}', ["/anything/1/a"]),
    (b'{"anything": {"a": {"x": 1, "x": 2}, "a": {"y": 1}}}', ["/anything/a"]),
    (b'{"anything": [{"a": 1, "a": 1}, {"b": 2, "b": 2}]}', ["/anything/0/a", "/anything/1/b"]),
]


@pytest.mark.parametrize("padding", [0, SMALL_BYTES], ids=["small", "large"])
@pytest.mark.parametrize(("body", "pointers"), REPEATED)
def test_name_given_twice_is_refused_with_its_pointer(body: bytes, pointers: list[str], padding: int) -> None:
    with pytest.raises(InvalidBody) as refused:
        parse(Line, body + b" " * padding)
    assert [error.pointer for error in refused.value.errors] == pointers
    assert {error.message for error in refused.value.errors} == {"is given twice: leave one of them out"}


@pytest.mark.parametrize("padding", [0, SMALL_BYTES], ids=["small", "large"])
@pytest.mark.parametrize(
    "anything", ['": {"', 'a\\":\\\\', {"a": {"a": {"a": ":"}}}, [{"a": 1}, {"a": 1}], {"": "", "\\": '"'}, "é:\u2028"]
)
def test_colons_and_quotes_in_texts_are_no_names(anything: Any, padding: int) -> None:
    for ascii_only in (True, False):
        body = json.dumps({"anything": anything}, ensure_ascii=ascii_only).encode() + b" " * padding
        assert parse(Line, body) == Line(anything=anything)


def test_byte_order_mark_is_skipped() -> None:
    assert parse(Line, b'\xef\xbb\xbf{"units": 3}') == Line(units=3)
    with pytest.raises(InvalidBody, match="is not JSON"):
        parse(Line, '{"units": 3}'.encode("utf-16"))
