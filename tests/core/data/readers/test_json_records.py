"""Tests of core/data/readers/json_records.py."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.errors import InvalidFile
from core.data.readers import rows
from core.data.readers.json_records import READ_BYTES, JsonRecords, _objects
from core.data.schema import Limits, Schema

RECORDS: list[dict[str, Any]] = [{"age": 20, "city": "Oslo"}, {"city": "Bergen", "age": None, "tags": [1, "x"]}]


def schema_of(path: Path, content: bytes, limits: Limits | None = None) -> Schema:
    path.write_bytes(content)
    return JsonRecords().infer_schema(path, {}, limits or Limits())


@pytest.mark.parametrize(
    "content",
    [
        json.dumps(RECORDS).encode(),
        json.dumps(RECORDS, indent=2).encode(),
        b"\xef\xbb\xbf" + json.dumps(RECORDS).encode(),
        "\n".join(map(json.dumps, RECORDS)).encode(),
        "\r\n\r\n".join(map(json.dumps, RECORDS)).encode() + b"\n",
        gzip.compress(json.dumps(RECORDS).encode(), mtime=0),
    ],
)
def test_list_and_lines_give_the_same_rows(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    schema = schema_of(path, content)
    assert [column.name for column in schema.columns] == ["age", "city", "tags"]
    assert rows(path, schema, 0, 9) == [
        {"age": 20.0, "city": "Oslo", "tags": None},
        {"age": None, "city": "Bergen", "tags": '[1, "x"]'},
    ]


def test_values_have_their_texts(tmp_path: Path) -> None:
    path = tmp_path / "file"
    record = {"whole": 3.0, "big": 12345678901234567890, "code": "007", "yes": True, "nested": {"a": [1]}, "empty": ""}
    schema = schema_of(path, json.dumps([record] * 2).encode())
    assert rows(path, schema, 0, 1) == [
        {"whole": 3.0, "big": 12345678901234567890.0, "code": 7.0, "yes": "true", "nested": '{"a": [1]}', "empty": None}
    ]


@given(
    st.lists(st.dictionaries(st.sampled_from("abc"), st.integers() | st.text(max_size=3)), max_size=6), st.booleans()
)
def test_objects_are_those_of_the_library(tmp_path_factory: Any, objects: list[dict[str, Any]], lines: bool) -> None:
    path = tmp_path_factory.mktemp("json") / "file"
    text = "\n".join(map(json.dumps, objects)) if lines else json.dumps(objects)
    path.write_text(text)
    assert list(_objects(path, Limits())) == objects


def test_records_longer_than_a_block_are_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    objects = [{"a": "x" * (READ_BYTES - 3), "b": 12345}, {"a": "y" * READ_BYTES}]
    path.write_text(json.dumps(objects))
    assert list(_objects(path, Limits())) == objects


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[]", "has no records"),
        (b"[{}]", "has no records"),
        (b'[{"a": 1}, 2]', "record 2 is no object"),
        (b'{"a": 1}\n[1]\n', "record 2 is no object"),
        (b'[{"a": 1}', "record 1 is not followed by a comma"),
        (b'[{"a": 1},', "has no end"),
        (b'[{"a": 1},]', "a comma follows record 1, the last"),
        (b'[{"a": 1}] x', "text follows the end"),
        (b'[{"a": 1} {"a": 2}]', "record 1 is not followed by a comma"),
        (b'{"a": 1}\n{"a": }\n', "record 2 is no JSON"),
        (b'{"a": "\xff"}', "not in UTF-8"),
        (b'[{"a": ' + b"[" * 100_000, "record 1 is no JSON"),
        (gzip.compress(b'[{"a": 1}]', mtime=0)[:-4], "damaged or cut short"),
    ],
)
def test_text_that_is_no_records_is_refused_with_its_place(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(InvalidFile, match=message):
        schema_of(tmp_path / "file", content)


@pytest.mark.parametrize(
    ("records", "limits", "message"),
    [
        ([{f"c{n}": 1 for n in range(9)}], Limits(columns=8), "more than 8 different names"),
        ([{"a": 1, "b": 2}] * 9, Limits(cells=10), "more than 10 cells"),
        (
            [{"a": "x" * 2 * READ_BYTES}],
            Limits(record_bytes=100),
            "longer than 100 characters",
        ),
    ],
)
def test_records_beyond_the_limits_are_refused(tmp_path: Path, records: Any, limits: Limits, message: str) -> None:
    with pytest.raises(InvalidFile, match=message):
        schema_of(tmp_path / "file", json.dumps(records).encode(), limits)
