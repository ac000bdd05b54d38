"""Which reader takes a file, by what a client says and by what the bytes are."""

from pathlib import Path

import numpy as np
import pytest

from core.data.errors import InvalidFile
from core.data.readers.csv import Csv
from core.data.readers.formats import CONTENT_TYPES, FORMATS, MAGICS, SUFFIXES, format_of, inspect, load, reader, rows
from tests.core.data.readers.files import npy_bytes, npz_bytes

FILES = {
    "csv": b"0;1\n3.5;x\n1.5;y\n",
    "npy": npy_bytes([[3.5, 0], [1.5, 1]]),
    "npz": npz_bytes(**{"0": np.array([3.5, 1.5]), "1": np.array(["x", "y"])}),
}


def test_every_format_has_a_file_here_and_a_way_to_be_told() -> None:
    assert set(FILES) == set(FORMATS) == set(CONTENT_TYPES.values()) == set(SUFFIXES.values())
    assert set(MAGICS.values()) < set(FORMATS)


@pytest.mark.parametrize("word", FORMATS)
def test_a_file_is_inspected_and_read(tmp_path: Path, word: str) -> None:
    path = tmp_path / "../of no meaning".replace("../", "")
    path.write_bytes(FILES[word])
    schema = inspect(path, Csv(header=True) if word == "csv" else FORMATS[word]())
    assert type(reader(schema)) is FORMATS[word]
    loaded = load(path, schema, ["0"])
    assert {name: values.tolist() for name, values in loaded.items()} == {"0": [3.5, 1.5]}
    assert [row["0"] for row in rows(path, schema, 0, 2)] == [3.5, 1.5]


def test_a_reader_remembers_the_layout(tmp_path: Path) -> None:
    path = tmp_path / "table"
    path.write_bytes(b"1;2\n3;4\n")
    assert reader(inspect(path, Csv())) == Csv(delimiter=";", header=False)


TOLD = [
    (("npz", "a.csv", "text/csv", b""), "npz"),
    ((None, "a.csv", "text/csv", FILES["npy"]), "npy"),
    ((None, None, None, FILES["npz"]), "npz"),
    ((None, "a.npy", "text/csv; charset=utf-8", b"a,b"), "csv"),
    ((None, "../../A.TSV", "application/octet-stream", b"a\tb"), "csv"),
]


@pytest.mark.parametrize(("told", "word"), TOLD)
def test_the_format_is_told(told: tuple[str | None, str | None, str | None, bytes], word: str) -> None:
    assert type(format_of(*told)) is FORMATS[word]


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(InvalidFile, match='there is no format "parquet": it is one of csv, npy, npz'):
        format_of("parquet", None, None, b"")
    with pytest.raises(InvalidFile, match="name one of csv, npy, npz"):
        format_of(None, "a.bin", None, b"a,b")
