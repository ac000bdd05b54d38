"""Tests of core/data/readers: every reader keeps the interface, and the reader of an upload is found."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from core.data.errors import InvalidFile
from core.data.readers import OPTIONS, READERS, is_table, load, reader_of, reader_of_upload, rows
from core.data.readers.csv import Csv
from core.data.readers.reader import FileReader
from core.data.schema import Limits, Schema
from tests.core.data.files.media import grey, tarred, zipped
from tests.core.data.readers.files import npy_bytes, npz_bytes, ods_bytes, parquet_bytes, sqlite_bytes, xlsx_bytes

PICTURES = {"table.csv": b"f,0,1\na.png,3.5,x\nb.png,1.5,y\n", "a.png": grey(1), "b.png": grey(2)}
FILES = {
    "csv": b"0;1\n3.5;x\n1.5;y\n",
    "json": b'[{"0": 3.5, "1": "x"}, {"0": 1.5, "1": "y"}]',
    "parquet": parquet_bytes("SELECT * FROM (VALUES (3.5, 'x'), (1.5, 'y')) AS t(\"0\", \"1\")"),
    "excel": xlsx_bytes(("one", [["0", "1"], [3.5, "x"], [1.5, "y"]])),
    "sqlite": sqlite_bytes('CREATE TABLE t ("0", "1")', "INSERT INTO t VALUES (3.5, 'x'), (1.5, 'y')"),
    "npy": npy_bytes([[3.5, 0], [1.5, 1]]),
    "npz": npz_bytes(**{"0": np.array([3.5, 1.5]), "1": np.array(["x", "y"])}),
    "zip": zipped(PICTURES),
    "tar": tarred(PICTURES),
}
"""A file of each format."""


def a_reader(word: str) -> FileReader:
    return Csv(header=True) if word == "csv" else READERS[word]()


def test_every_reader_has_a_file() -> None:
    assert set(FILES) == set(READERS)


def test_every_reader_has_a_content_type_and_a_suffix_of_its_own() -> None:
    for names in ([r.content_types for r in READERS.values()], [r.suffixes for r in READERS.values()]):
        assert all(names)
        assert len(set(sum(names, ()))) == sum(map(len, names))


@pytest.mark.parametrize("word", READERS)
def test_infer_schema_then_load_and_rows(tmp_path: Path, word: str) -> None:
    path = tmp_path / "file without a suffix"
    path.write_bytes(FILES[word])
    schema = a_reader(word).infer_schema(path, {}, Limits())
    assert (schema.format, type(reader_of(schema))) == (word, READERS[word])
    assert Schema.from_json(schema.to_json()) == schema
    loaded = load(path, schema, ["0"])
    assert {name: values.tolist() for name, values in loaded.items()} == {"0": [3.5, 1.5]}
    assert [row["0"] for row in rows(path, schema, 0, 2)] == [3.5, 1.5]


@pytest.mark.parametrize("word", READERS)
def test_options_make_an_equal_reader(word: str) -> None:
    assert READERS[word](**a_reader(word).options()) == a_reader(word)


def test_is_table_unless_arrays() -> None:
    tables = {word: is_table(Schema(format=word, rows=1, columns=())) for word in READERS}
    assert tables == {word: word != "npz" for word in READERS}


def test_reader_of_a_schema_has_its_layout(tmp_path: Path) -> None:
    path = tmp_path / "table"
    path.write_bytes(b"1;2\n3;4\n")
    reader = reader_of(Csv().infer_schema(path, {}, Limits()))
    assert isinstance(reader, Csv)
    assert (reader.delimiter, reader.header) == (";", False)


UPLOADS = [
    (("npz", "a.csv", "text/csv", b""), "npz"),
    (("xlsx", "a.csv", "text/csv", b""), "excel"),
    (("TSV", None, None, b""), "csv"),
    ((None, "a.csv", "text/csv", FILES["npy"]), "npy"),
    ((None, None, None, FILES["npz"]), "npz"),
    ((None, "a.npy", "text/csv; charset=utf-8", b"a,b"), "csv"),
    ((None, "a.zip", None, FILES["zip"]), "zip"),
    ((None, "a.zip", "application/zip", FILES["npz"]), "npz"),
    ((None, None, None, FILES["tar"]), "tar"),
    ((None, "a.csv", "text/csv", tarred(PICTURES, "w:gz")), "tar"),
    ((None, "a.csv", "text/csv", FILES["parquet"]), "parquet"),
    ((None, None, None, FILES["excel"]), "excel"),
    ((None, None, None, ods_bytes([["a"], [1]])), "excel"),
    ((None, "a.csv", "text/csv", FILES["sqlite"]), "sqlite"),
    ((None, None, None, FILES["json"]), "json"),
    ((None, None, None, b'{"a": 1}\n{"a": 2}\n'), "json"),
    ((None, None, "application/gzip", gzip.compress(b"a,b\n1,2\n", mtime=0)), "csv"),
    ((None, "../../A.TSV", "application/octet-stream", b"a\tb"), "csv"),
]


@pytest.mark.parametrize(("upload", "word"), UPLOADS)
def test_reader_of_upload(upload: tuple[str | None, str | None, str | None, bytes], word: str) -> None:
    assert type(reader_of_upload(*upload)) is READERS[word]


def test_reader_of_upload_of_an_unknown_format_is_refused() -> None:
    with pytest.raises(
        InvalidFile,
        match='there is no format "feather": use one of csv, json, parquet, excel, sqlite, npy, npz, zip, tar',
    ):
        reader_of_upload("feather", None, None, b"")
    with pytest.raises(InvalidFile, match=r"\?format=csv"):
        reader_of_upload(None, "a.bin", None, b"a,b")


def test_options_of_a_client_are_those_of_the_format() -> None:
    assert reader_of_upload("csv", None, None, b"", {"delimiter": ";", "header": "no"}) == Csv(
        delimiter=";", header=False
    )
    assert reader_of_upload("excel", None, None, b"", {"sheet": "two"}).options() == {"sheet": "two"}
    with pytest.raises(InvalidFile, match="sheet is no option of the format csv: leave it out"):
        reader_of_upload("csv", None, None, b"", {"sheet": "two"})
    with pytest.raises(InvalidFile, match="header must be yes or no"):
        reader_of_upload("csv", None, None, b"", {"header": "maybe"})
    assert {name for kind in READERS.values() for name in kind().options()} == set(OPTIONS)
