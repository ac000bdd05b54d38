"""Forms of real files: how each is read, and what is said of it."""

import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import duckdb
import numpy as np
import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from core.data.errors import InvalidFile
from core.data.readers import reader_of, reader_of_upload
from core.data.readers.tables.rules import strip, stripped
from core.data.schema import Limits, Schema


class Form(NamedTuple):
    """A file, and what is right."""

    content: str | bytes
    columns: Mapping[str, Any]
    """The values of each column as its reader gives them, categories by their names."""
    said: Mapping[str, str] = MappingProxyType({})
    read_as: Mapping[str, Any] = MappingProxyType({})
    warnings: tuple[str, ...] = ()
    types: Mapping[str, str] = MappingProxyType({})


PLAIN = {"a": [1.0, 3.0], "b": [2.0, 4.0]}
NAMES = {"name": ["José", "Zoë"], "x": [1.0, 2.0]}
ACCENTS = "name,x\nJosé,1\nZoë,2\n"
NAN = np.nan
DAY = 86_400.0
FORMS: dict[str, Form] = {
    "a header of years": Form("city,2019,2020\nOslo,1,2\n", {"city": ["Oslo"], "2019": [1.0], "2020": [2.0]}),
    "a header of years over three rows": Form(
        "city,2019,2020\nOslo,1,2\nRome,3,4\n", {"city": ["Oslo", "Rome"], "2019": [1.0, 3.0], "2020": [2.0, 4.0]}
    ),
    "row names of pandas": Form(",a,b\nr1,1,2\nr2,3,4\n", {"index": ["r1", "r2"], **PLAIN}, warnings=("index_column",)),
    "row names of R": Form(
        '"","a","b"\n"r1",1,2\n"r2",3,4\n', {"index": ["r1", "r2"], **PLAIN}, warnings=("index_column",)
    ),
    "row names of R, separated by blanks": Form(
        '"a" "b"\n"r 1" 1 2\n"r 2" 3 4\n',
        {"index": ["r 1", "r 2"], **PLAIN},
        read_as={"delimiter": " ", "header": True},
        warnings=("index_column",),
    ),
    "decimal commas with semicolons": Form(
        "name;height;mass\nA;1,75;3\nB;1,8;1.200,5\n",
        {"name": ["A", "B"], "height": [1.75, 1.8], "mass": [3.0, 1200.5]},
        read_as={"delimiter": ";", "decimal": ",", "thousands": "."},
    ),
    "decimal commas alone": Form("a;b\n1,5;2,5\n3,5;4,5\n", {"a": [1.5, 3.5], "b": [2.5, 4.5]}),
    "numbers as people write them": Form(
        'a,b,c,d\n"1,200",$15,15 %,\u22123\n"2,300,000",$1.50,20%,4\n',
        {"a": [1200.0, 2_300_000.0], "b": [15.0, 1.5], "c": [15.0, 20.0], "d": [-3.0, 4.0]},
    ),
    "one number of which the comma is unclear": Form(
        'a,b\n"1,200",x\n', {"a": [1200.0], "b": ["x"]}, warnings=("assumed",)
    ),
    "marks of missing numbers": Form(
        "a,b\n1.5,x\n.,y\n-,x\n#DIV/0!,y\n-nan,x\n<NA>,y\n2,x\n",
        {"a": [1.5, NAN, NAN, NAN, NAN, NAN, 2.0], "b": ["x", "y", "x", "y", "x", "y", "x"]},
    ),
    "a blank before a quote": Form('a, b\n1, "x, y"\n2, "z"\n', {"a": [1.0, 2.0], "b": ["x, y", "z"]}),
    "spellings of true": Form(
        "a,b\n1,TRUE\n2,True\n3,true\n4,FALSE\n5,TRUE\n",
        {"a": [1.0, 2.0, 3.0, 4.0, 5.0], "b": ["TRUE", "TRUE", "TRUE", "FALSE", "TRUE"]},
    ),
    "dates": Form(
        "iso,german,american\n1970-01-02,31.01.1970,1/31/1970\n1970-01-03T12:00:00Z,01.02.1970,2/1/1970\n",
        {"iso": [DAY, 2.5 * DAY], "german": [30 * DAY, 31 * DAY], "american": [30 * DAY, 31 * DAY]},
        types={"iso": "datetime", "german": "datetime", "american": "datetime"},
    ),
    "dates of which day and month are unclear": Form(
        "d,n\n1/2/1970,1\n2/3/1970,2\n",
        {"d": [DAY, 33 * DAY], "n": [1.0, 2.0]},
        warnings=("unclear_dates",),
    ),
    "dates by their format": Form(
        "d,n\n1/2/1970,1\n2/3/1970,2\n",
        {"d": [31 * DAY, 60 * DAY], "n": [1.0, 2.0]},
        said={"date_format": "%d/%m/%Y"},
    ),
    "blanks between": Form("x   y  z\n1   2.5  a\n10  3.5  b\n", {"x": [1.0, 10.0], "y": [2.5, 3.5], "z": ["a", "b"]}),
    "lines above and below": Form(
        "Report of 2020\n\na,b\n1,2\n3,4\nSource: us\n",
        PLAIN,
        read_as={"skip_rows": 2},
        warnings=("assumed", "footer"),
    ),
    "a title as a spreadsheet writes it": Form(
        "Report,,\na,b,c\n1,2,5\n3,4,6\n", {**PLAIN, "c": [5.0, 6.0]}, warnings=("assumed",)
    ),
    "a last row that is cut short": Form("a,b,c\n1,2,5\n3,4", {**PLAIN, "c": [5.0, NAN]}, warnings=("short_last_row",)),
    "comments": Form("# one\n# two\na,b\n1,2\n# three\n3,4\n", PLAIN, read_as={"comment": "#"}),
    "a header in a comment": Form("#a,b\n1,2\n3,4\n", PLAIN),
    "words that begin with #": Form("a,b\n#ff0000,1\n#00ff00,2\n", {"a": ["#ff0000", "#00ff00"], "b": [1.0, 2.0]}),
    "windows-1252": Form(ACCENTS.encode("cp1252"), NAMES, warnings=("assumed",)),
    "windows-1252 that is said": Form(ACCENTS.encode("cp1252"), NAMES, said={"encoding": "windows-1252"}),
    "windows-1252 after the sample": Form(
        b"a,b\n" + b"x,1\n" * 100_000 + "é,2\n".encode("cp1252") + b"x,1\n" * 100_000,
        {"a": ["x"] * 100_000 + ["é"] + ["x"] * 100_000, "b": [1.0] * 100_000 + [2.0] + [1.0] * 100_000},
        read_as={"encoding": "windows-1252"},
        warnings=("assumed",),
    ),
    "UTF-16 with a mark": Form(ACCENTS.encode("utf-16"), NAMES, read_as={"encoding": "utf-16-le"}),
    "UTF-16 without a mark": Form(ACCENTS.encode("utf-16-be"), NAMES, read_as={"encoding": "utf-16-be"}),
    "UTF-8 with a mark": Form(ACCENTS.encode("utf-8-sig"), NAMES, read_as={"encoding": "utf-8"}),
    "NA as a country": Form("c,x\nNA,1\nDE,\n", {"c": ["NA", "DE"], "x": [1.0, NAN]}, said={"missing": '["", "null"]'}),
    "a number for missing values": Form(
        "c,x\na,-999\nb,5\n", {"c": ["a", "b"], "x": [NAN, 5.0]}, said={"missing": "-999"}
    ),
    "CR": Form("a,b\r1,2\r3,4\r", PLAIN),
    "CRLF": Form("a,b\r\n1,2\r\n3,4\r\n", PLAIN),
    "CRLF and LF": Form("a,b\r\n1,2\n3,4\r\n", PLAIN),
    "line ends that change after the sample": Form(
        b"a,b\r\n" + b"1,2\r\n" * 100_000 + b"3,4\n" + b"1,2\r\n" * 100_000,
        {"a": [1.0] * 100_000 + [3.0] + [1.0] * 100_000, "b": [2.0] * 100_000 + [4.0] + [2.0] * 100_000},
    ),
    "gzip": Form(gzip.compress(b"a,b\n1,2\n3,4\n"), PLAIN),
    "zstd": Form(zstd.compress(b"a,b\n1,2\n3,4\n"), PLAIN),
    "gzip with lines above and below": Form(
        gzip.compress(b"Report\n\na,b\n1,2\n3,4\nSource: us\n"), PLAIN, warnings=("assumed", "footer")
    ),
    "codes of digits": Form(
        "zip,n\n01234,1\n99999,2\n", {"zip": ["01234", "99999"], "n": [1.0, 2.0]}, warnings=("codes_of_digits",)
    ),
    "more digits than a number keeps": Form(
        "id,n\n12345678901234567890,1\n12345678901234567891,2\n",
        {"id": ["12345678901234567890", "12345678901234567891"], "n": [1.0, 2.0]},
        warnings=("codes_of_digits",),
    ),
    "addresses": Form(
        "ip,n\n192.168.100.200,1\n10.100.200.201,2\n", {"ip": ["192.168.100.200", "10.100.200.201"], "n": [1.0, 2.0]}
    ),
    "names that are said": Form("1;2\n3;4\n", PLAIN, said={"header": '["a", "b"]'}),
    "no header among words": Form(
        "red,yes\ngreen,no\nred,no\n",
        {"0": ["red", "green", "red"], "1": ["yes", "no", "no"]},
        warnings=("assumed",),
    ),
    "apostrophes around cells": Form(
        "a,b\n'x, y',1\n'z','2'\n'u','3'\n", {"a": ["x, y", "z", "u"], "b": [1.0, 2.0, 3.0]}, read_as={"quote": "'"}
    ),
    "escaped quotes": Form('a,b\n"say \\"hi\\" now",1\nz,2\n', {"a": ['say "hi" now', "z"], "b": [1.0, 2.0]}),
    "no quotes at all": Form('a;b\n"x;1\ny";2\n', {"a": ['"x', 'y"'], "b": [1.0, 2.0]}, said={"quote": "none"}),
    "another delimiter": Form("a:b\n1:2\n3:4\n", PLAIN, said={"delimiter": ":"}),
    "a row of two lines": Form('a,b\n"x\ny",1\nz,2\n', {"a": ["x\ny", "z"], "b": [1.0, 2.0]}),
}


def read(path: Path, form: Form) -> Schema:
    path.write_bytes(form.content.encode() if isinstance(form.content, str) else form.content)
    reader = reader_of_upload("csv", None, None, path.read_bytes()[:4096], form.said)
    schema = reader.infer_schema(path, {}, Limits())
    return Schema.from_json(json.loads(json.dumps(schema.to_json())))


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_form_of_a_file(tmp_path: Path, form: Form) -> None:
    path = tmp_path / "file"
    schema = read(path, form)
    assert [column.name for column in schema.columns] == list(form.columns)
    loaded = reader_of(schema).load(path, schema, schema.columns)
    for column in schema.columns:
        values = loaded[column.name]
        if column.type == "category":
            names = [*(name for name, _ in column.classes), None]
            values = np.array([names[code] for code in values], object)
        expected = form.columns[column.name]
        assert column.rows == len(expected)
        np.testing.assert_array_equal(values, np.array(expected, values.dtype))
    assert {name: schema.layout["read_as"][name]["value"] for name in form.read_as} == form.read_as
    assert {name: schema.column(name).type for name in form.types} == form.types  # type: ignore[union-attr]
    assert sorted(warning["code"] for warning in schema.layout["warnings"]) == sorted(form.warnings)
    page = reader_of(schema).rows(path, schema, 1, 1)
    assert [list(row) for row in page] == [list(form.columns)] * (schema.rows > 1)


def test_what_is_read_as_has_a_reason_for_each_option(tmp_path: Path) -> None:
    schema = read(tmp_path / "file", FORMS["CRLF"])
    options = reader_of(schema).options()
    assert set(schema.layout["read_as"]) == set(options)
    assert all(option["reason"] for option in schema.layout["read_as"].values())


def test_dataset_of_the_version_before_is_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"a;b\n1;x\n;y\n")
    new = reader_of_upload("csv", None, None, b"").infer_schema(path, {}, Limits())
    stored = {**new.to_json(), "delimiter": ";", "header": True}
    for name in ("read_as", "warnings", "table", "thousands_form"):
        del stored[name]
    old = Schema.from_json(stored)
    loaded = reader_of(old).load(path, old, old.columns)
    np.testing.assert_array_equal(loaded["a"], [1, NAN])
    assert loaded["b"].tolist() == [0, 1]
    assert reader_of(old).rows(path, old, 0, 5) == [{"a": 1.0, "b": "x"}, {"a": None, "b": "y"}]


def test_many_columns_are_read_as_few_are(tmp_path: Path) -> None:
    names = [f"c{place}" for place in range(700)]
    cells = [[str(place * row) for place in range(700)] for row in range(5)]
    content = "\n".join([",".join([*names, "k"]), *(",".join([*row, "ab"[i % 2]]) for i, row in enumerate(cells))])
    path = tmp_path / "file"
    schema = read(path, Form(content, {}))
    assert (schema.rows, len(schema.columns)) == (5, 701)
    assert (schema.columns[3].max, schema.columns[3].mean, schema.columns[-1].classes) == (12, 6, (("a", 3), ("b", 2)))
    loaded = reader_of(schema).load(path, schema, schema.columns)
    np.testing.assert_array_equal(loaded["c699"], [0, 699, 1398, 2097, 2796])
    assert loaded["k"].tolist() == [0, 1, 0, 1, 0]
    assert reader_of(schema).rows(path, schema, 4, 1)[0]["c699"] == 2796


@pytest.mark.parametrize(
    ("option", "text", "message"),
    [
        ("header", "maybe", "header must be yes or no, or a list of names"),
        ("header", "[1]", "header must be a list of texts"),
        ("header", '["a"]', "header has 1 names and the rows have 2 cells"),
        ("delimiter", "ab", "a delimiter must be a comma"),
        ("quote", "x", "quote must be one of"),
        ("decimal", ";", "decimal must be a point or a comma"),
        ("thousands", "x", "thousands must be one of"),
        ("skip_rows", "-1", "skip_rows must be the number of lines"),
        ("skip_rows", "99999999", "skip_rows must be the number of lines"),
        ("encoding", "utf-9", "there is no encoding"),
        ("date_format", "day", "date_format must be as"),
        ("missing", "[1]", "missing must be a list of texts"),
    ],
)
def test_wrong_option_is_refused(tmp_path: Path, option: str, text: str, message: str) -> None:
    with pytest.raises(InvalidFile, match=message):
        read(tmp_path / "file", Form("a,b\n1,2\n", {}, said={option: text}))


@given(st.text(st.sampled_from("\t\n\r\v\f \u00a0\u2003\u3000\x85ab"), max_size=6))
def test_blanks_are_stripped_by_python_as_by_duckdb(text: str) -> None:
    (found,) = duckdb.execute(f"SELECT {stripped('t')} FROM (VALUES (?)) AS v(t)", [text]).fetchall()
    assert found == (strip(text),)
