"""Tests of core/data/readers/archives: every form of archive, its columns and values, and what is refused."""

import gzip
import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.data.errors import InvalidFile
from core.data.readers import READERS, load, reader_of_upload, rows
from core.data.schema import Limits, Schema
from tests.core.data.files.media import grey, picture, recording, tarred, tone, zipped

FOLDERS = {"pets/cat/1.png": grey(10), "pets/dog/1.png": grey(20), "pets/cat/2.png": grey(30, 4, 5)}


def idx(array: Any) -> bytes:
    array = np.asarray(array, np.uint8)
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


MNIST = {
    "train-images-idx3-ubyte": idx(np.arange(12).reshape(3, 2, 2)),
    "train-labels-idx1-ubyte": idx([7, 1, 7]),
    "t10k-images-idx3-ubyte.gz": gzip.compress(idx(np.arange(8).reshape(2, 2, 2))),
    "t10k-labels-idx1-ubyte.gz": gzip.compress(idx([1, 7])),
}
CIFAR = {
    "c/data_batch_1.bin": b"".join(bytes([label]) + bytes([label * 9]) * 3072 for label in (1, 0)),
    "c/test_batch.bin": bytes([1]) + bytes(3072),
    "c/batches.meta.txt": b"airplane\ncar\n",
    "c/readme.html": b"<html>",
}
CIFAR100 = {"train.bin": bytes([5, 2]) + bytes(3072), "test.bin": bytes([5, 1]) + bytes(3072)}

Expected = tuple[tuple[int, ...], list[dict[str, Any]]]
"""The shape of the column of files, and the rows."""
ARCHIVES: dict[str, tuple[dict[str, bytes], Expected]] = {
    "folders": (
        FOLDERS,
        (
            (2, 3, 1),
            [
                {"file": "pets/cat/1.png", "label": "cat"},
                {"file": "pets/dog/1.png", "label": "dog"},
                {"file": "pets/cat/2.png", "label": "cat"},
            ],
        ),
    ),
    "parts": (
        {"d/Train/0/a.png": grey(1), "d/Train/1/b.png": grey(2), "d/test/1/c.png": grey(3)},
        (
            (2, 3, 1),
            [
                {"file": "d/Train/0/a.png", "label": "0", "split": "train"},
                {"file": "d/Train/1/b.png", "label": "1", "split": "train"},
                {"file": "d/test/1/c.png", "label": "1", "split": "test"},
            ],
        ),
    ),
    "no folders, and notes": (
        {"a.png": grey(1), "b.JPG": picture(np.zeros((2, 3, 3)), "JPEG"), "README.txt": b"notes", "x.json": b"{}"},
        ((2, 3, 1), [{"file": "a.png"}, {"file": "b.JPG"}]),
    ),
    "one class": ({"cats/a.png": grey(1)}, ((2, 3, 1), [{"file": "cats/a.png", "label": "cats"}])),
    "what systems leave": (
        {"__MACOSX/cat/._1.png": b"?", "cat/.DS_Store": b"?", "cat/1.png": grey(1), "dog/Thumbs.db": b"?"},
        ((2, 3, 1), [{"file": "cat/1.png", "label": "cat"}]),
    ),
    "table": (
        {
            "labels.csv": b"id,name,age,path\n1,Tom,3.5,b.png\n2,Max,,a.png\n",
            "img/a.png": grey(1),
            "img/b.png": grey(2),
            "img/c.png": grey(3),
        },
        (
            (2, 3, 1),
            [
                {"file": "img/b.png", "id": 1.0, "name": "Tom", "age": 3.5},
                {"file": "img/a.png", "id": 2.0, "name": "Max", "age": None},
            ],
        ),
    ),
    "table of names without suffix, beside its files": (
        {"d/t.tsv": b"f\tc\na\tx\nb\ty\n", "d/a.png": grey(1), "d/b.png": grey(2)},
        ((2, 3, 1), [{"file": "d/a.png", "c": "x"}, {"file": "d/b.png", "c": "y"}]),
    ),
    "recordings": (
        {"up/a.wav": recording(tone(440)), "down/b.flac": recording(tone(440), form="FLAC"), "notes.txt": b"x"},
        ((), [{"file": "up/a.wav", "label": "up"}, {"file": "down/b.flac", "label": "down"}]),
    ),
    "texts": (
        {"good/1.txt": "\ufeffété".encode(), "bad/1.txt": b"no"},
        ((), [{"file": "good/1.txt", "label": "good"}, {"file": "bad/1.txt", "label": "bad"}]),
    ),
    "idx": (
        MNIST,
        (
            (2, 2, 1),
            [
                {"file": f"{name}[{row}]", "label": label, "split": part}
                for name, part, labels in (
                    ("train-images-idx3-ubyte", "train", "717"),
                    ("t10k-images-idx3-ubyte.gz", "test", "17"),
                )
                for row, label in enumerate(labels)
            ],
        ),
    ),
    "cifar-10": (
        CIFAR,
        (
            (32, 32, 3),
            [
                {"file": "c/data_batch_1.bin[0]", "label": "car", "split": "train"},
                {"file": "c/data_batch_1.bin[1]", "label": "airplane", "split": "train"},
                {"file": "c/test_batch.bin[0]", "label": "car", "split": "test"},
            ],
        ),
    ),
    "cifar-100": (
        CIFAR100,
        (
            (32, 32, 3),
            [
                {"file": "train.bin[0]", "label": "2", "split": "train"},
                {"file": "test.bin[0]", "label": "1", "split": "test"},
            ],
        ),
    ),
}
PACKERS: dict[str, Callable[[dict[str, bytes]], bytes]] = {
    "zip": zipped,
    "tar": tarred,
    "tar.gz": lambda files: tarred(files, "w:gz"),
}


def schema_of(path: Path, content: bytes, **limits: int) -> Schema:
    path.write_bytes(content)
    reader = reader_of_upload(None, None, None, content[:4096])
    return reader.infer_schema(path, {}, Limits(**limits))


@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize("name", ARCHIVES)
def test_archive_is_read_as_rows(tmp_path: Path, name: str, packer: str) -> None:
    files, (shape, expected) = ARCHIVES[name]
    path = tmp_path / "archive"
    schema = schema_of(path, PACKERS[packer](files))
    assert (schema.format, schema.rows) == (packer[:3], len(expected))
    assert (schema.columns[0].name, schema.columns[0].shape) == ("file", shape)
    assert Schema.from_json(schema.to_json()) == schema
    assert rows(path, schema, 0, 100) == expected
    assert rows(path, schema, 1, 1) == expected[1:2]
    loaded = load(path, schema, [column.name for column in schema.columns])
    assert {len(column) for column in loaded.values()} == {len(expected)}
    if "label" in loaded:
        names = [class_name for class_name, _ in schema.columns[1].classes]
        assert [names[code] for code in loaded["label"]] == [row["label"] for row in expected]


def test_files_are_loaded_as_themselves(tmp_path: Path) -> None:
    for packer in PACKERS.values():
        schema = schema_of(tmp_path / "a", packer(FOLDERS))
        found = load(tmp_path / "a", schema, ["file"])["file"]
        assert {file.name: file.read() for file in found} == FOLDERS


def test_texts_are_loaded_as_texts(tmp_path: Path) -> None:
    schema = schema_of(tmp_path / "a", zipped(ARCHIVES["texts"][0]))
    assert load(tmp_path / "a", schema, ["file"])["file"].tolist() == ["été", "no"]


def test_arrays_of_idx_and_cifar_are_pictures(tmp_path: Path) -> None:
    schema = schema_of(tmp_path / "a", zipped(MNIST))
    found = load(tmp_path / "a", schema, ["file"])["file"]
    assert found[2].array.tolist() == [[8, 9], [10, 11]]
    schema = schema_of(tmp_path / "b", zipped(CIFAR))
    first = load(tmp_path / "b", schema, ["file"])["file"][0].array
    assert (first.shape, set(first.ravel().tolist())) == ((32, 32, 3), {9})


def test_types_may_be_set_for_other_columns_than_files(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(zipped(ARCHIVES["parts"][0]))
    assert READERS["zip"]().infer_schema(path, {"label": "number"}, Limits()).columns[1].max == 1
    with pytest.raises(InvalidFile, match='types names a column "file", and the archive has "label", "split"'):
        READERS["zip"]().infer_schema(path, {"file": "text"}, Limits())


def tar_with(**fields: Any) -> bytes:
    """Return a tar file of one member with these fields."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        info = tarfile.TarInfo("a.png")
        for name, value in fields.items():
            setattr(info, name, value)
        archive.addfile(info)
    return file.getvalue()


def zip_with_link() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        info = zipfile.ZipInfo("a.png")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    return file.getvalue()


def lying_zip() -> bytes:
    """Return a zip file whose member declares a gigabyte."""
    content = bytearray(zipped({"a.png": grey(1)}))
    at = content.index(b"PK\x01\x02")
    content[at + 24 : at + 28] = (2**30).to_bytes(4, "little")
    return bytes(content)


def broken(content: bytes, at: float = 0.5) -> bytes:
    place = int(len(content) * at)
    return content[:place] + bytes([content[place] ^ 255]) + content[place + 1 :]


NOISE = picture(np.random.default_rng(0).integers(0, 255, (64, 64)))
BAD: dict[str, tuple[bytes, str]] = {
    "empty zip": (zipped({}), "an empty ZIP archive"),
    "empty tar": (tarred({}) + bytes(1), "format of the file is unknown"),
    "only folders": (zipped({"a/": b"", "b/": b""}), "the archive has no files"),
    "nothing known": (zipped({"a.exe": b"x"}), 'no files to learn from; its first is "a.exe"'),
    "zip slip": (zipped({"../../a.png": grey(1)}), r'"\.\./\.\./a.png", which leads out of it'),
    "tar slip": (tarred({"a/../../b.png": grey(1)}), "which leads out of it"),
    "absolute": (tarred({"/etc/a.png": grey(1)}), "which leads out of it"),
    "backslash": (zipped({"..\\a.png": grey(1)}), "which leads out of it"),
    "drive": (zipped({"C:a.png": grey(1)}), "which leads out of it"),
    "control character": (tarred({"a\nb.png": grey(1)}), "cannot be shown"),
    "long name": (zipped({"a" * 2000 + ".png": grey(1)}), "too long"),
    "symbolic link": (tar_with(type=tarfile.SYMTYPE, linkname="/etc/passwd"), '"a.png" is a link'),
    "hard link": (tar_with(type=tarfile.LNKTYPE, linkname="b.png"), '"a.png" is a link'),
    "device": (tar_with(type=tarfile.CHRTYPE), '"a.png" is no plain file'),
    "pipe": (tar_with(type=tarfile.FIFOTYPE), '"a.png" is no plain file'),
    "link in a zip": (zip_with_link(), '"a.png" is a link'),
    "lying zip": (lying_zip(), '"a.png" has 1,073,741,824 bytes'),
    "mislabelled": (zipped({"cat/1.png": grey(1), "cat/2.png": b"GIF?"}), '"cat/2.png" is no picture'),
    "empty picture": (zipped({"cat/2.png": b""}), '"cat/2.png" is no picture'),
    "cut off picture": (zipped({"cat/2.png": NOISE[:2000]}), '"cat/2.png" is no picture'),
    "cut off zip": (zipped(FOLDERS)[:-30], "damaged or cut off"),
    "cut off tar": (tarred({"a.png": NOISE})[:1500], "damaged or cut off|cut off"),
    "cut off tar.gz": (tarred({"a.png": NOISE}, "w:gz")[:-2000], "damaged or cut off|cut off"),
    "damaged member": (broken(zipped({"a.png": NOISE})), "a.png is damaged"),
    "pictures and recordings": (
        zipped({"a/1.png": grey(1), "a/2.wav": recording(tone(440))}),
        r'several kinds, "a/1.png" \(image\), "a/2.wav" \(audio\)',
    ),
    "recording without samples": (zipped({"a/1.wav": recording([])}), '"a/1.wav" has no samples'),
    "mislabelled recording": (zipped({"a/1.mp3": b"hello"}), '"a/1.mp3" is no recording'),
    "two tables": (
        zipped({"a.png": grey(1), "t.csv": b"f,c\na.png,1\n", "u.csv": b"f,c\na.png,1\n"}),
        'several tables, "t.csv", "u.csv"',
    ),
    "table of other files": (
        zipped({"a.png": grey(1), "t.csv": b"f,c\nb.png,1\n"}),
        '"t.csv", row 1: no cell names a file',
    ),
    "table with a file too many": (
        zipped({"a.png": grey(1), "t.csv": b"f,c\na.png,1\nb.png,2\n"}),
        '"t.csv", row 2: "b.png" is not in the archive',
    ),
    "table with wrong rows": (zipped({"a.png": grey(1), "t.csv": b"f,c\na.png,1\na.png,1,2\n"}), '"t.csv": row 2'),
    "empty table": (zipped({"a.png": grey(1), "t.csv": b"f,c\n"}), '"t.csv" has no rows'),
    "table with another column file": (
        zipped({"a.png": grey(1), "t.csv": b"f,file\na.png,1\n"}),
        'has a column "file"',
    ),
    "latin-1 text": (zipped({"a/1.txt": "é".encode("latin-1")}), '"a/1.txt" is not in UTF-8'),
    "idx without labels": (zipped({"train-images-idx3-ubyte": idx(np.zeros((1, 2, 2)))}), "needs a file of labels"),
    "idx with too few labels": (
        zipped({"a-images-idx3-ubyte": idx(np.zeros((2, 2, 2))), "a-labels-idx1-ubyte": idx([1])}),
        "has 1 for 2 pictures",
    ),
    "idx of labels": (zipped({"a-labels-idx1-ubyte": idx([1])}), "none of pictures"),
    "idx of other values": (zipped({"a-idx3-ubyte": b"\0\0\x0d\x03" + bytes(12)}), "values of type 13"),
    "idx cut off": (zipped({"a-idx3-ubyte": idx(np.zeros((2, 2, 2)))[:-1]}), "7 bytes of values"),
    "no idx": (zipped({"a-idx3-ubyte": b"hello"}), "is not in the IDX format"),
    "idx bomb": (
        zipped({"a-idx3-ubyte.gz": gzip.compress(bytes(2**21))}),
        "unpacks to more than 1,048,576 bytes",
    ),
    "cifar cut off": (zipped({"data_batch_1.bin": bytes(3000)}), "no records of 3073"),
    "many files": (zipped({f"{i}.png": b"" for i in range(101)}), "more than 100"),
    "many files in a tar": (tarred({f"{i}.png": grey(1) for i in range(101)}), "more than 100"),
    "a large file": (zipped({"a.png": bytes(2**21)}), '"a.png" has 2,097,152 bytes, more than 1,048,576'),
    "a large file in a tar.gz": (tarred({"a.png": bytes(2**21)}, "w:gz"), '"a.png" has 2,097,152 bytes'),
    "a bomb of several": (zipped({f"{i}.png": bytes(2**20) for i in range(5)}), "unpacks to more than 4,194,304 bytes"),
    "a tar.gz bomb": (
        tarred({f"{i}.txt": bytes(2**20) for i in range(5)}, "w:gz"),
        "unpacks to more than 4,194,304 bytes",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_archive_is_refused_by_the_name_of_its_member(tmp_path: Path, name: str) -> None:
    content, message = BAD[name]
    with pytest.raises(InvalidFile, match=message):
        schema_of(tmp_path / "a", content, files=100, file_bytes=2**20, files_bytes=2**22)
    assert [file.name for file in tmp_path.iterdir()] == ["a"]


def test_an_archive_of_other_files_than_at_the_upload_is_refused(tmp_path: Path) -> None:
    schema = schema_of(tmp_path / "a", zipped(FOLDERS))
    (tmp_path / "a").write_bytes(zipped({"cat/1.png": grey(1)}))
    with pytest.raises(InvalidFile, match="other files than when it was uploaded"):
        load(tmp_path / "a", schema, ["file"])
