"""What the first bytes of a file look like, and the refusal of an upload that says so."""

import io
import pickle
import zipfile

import pytest

from core.data.errors import InvalidFile
from core.data.readers import reader_of_upload
from core.data.readers.contents import SIGNATURES, content_of
from core.data.readers.csv import Csv
from tests.core.data.readers.files import npy_bytes, npz_bytes


def archive(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        for name in names:
            made.writestr(name, "text")
    return buffer.getvalue()


FILES = [
    (b"BZh91AY&SY\x01\x00", "bzip2"),
    (b"ARROW1\x00\x00", "an Arrow or Feather file"),
    (b"\x89HDF\r\n\x1a\n\x00", "HDF5"),
    (b"MATLAB 5.0 MAT-file\x00", "a MATLAB file"),
    (pickle.dumps({"a": 1}), "a Python pickle"),
    (b"\x89PNG\r\n\x1a\n\x00\x00", "a PNG image"),
    (b"\xff\xd8\xff\xe0\x00", "a JPEG image"),
    (b"RIFF\x00\x00\x00\x00WAVEfmt ", "WAV sound"),
    (b"%PDF-1.7\n\x00", "a PDF document"),
    (b"<!DOCTYPE html>\n<html><body>404</body></html>", "a web page"),
    (b"\n  <html lang=en>", "a web page"),
    (b'<?xml version="1.0"?><rows/>', "XML"),
    (b"\xef\xbb\xbf<html>", "a web page"),
    (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "a Git LFS pointer"),
    (archive("archive/data.pkl"), "a PyTorch file"),
]


@pytest.mark.parametrize(("head", "looks_like"), FILES, ids=range(len(FILES)))
@pytest.mark.parametrize("content_type", [None, "text/csv"])
def test_upload_is_refused_with_what_it_looks_like(head: bytes, looks_like: str, content_type: str | None) -> None:
    with pytest.raises(InvalidFile, match=f"looks like {looks_like}"):
        reader_of_upload(None, None, content_type, head)


@pytest.mark.parametrize("head", [b"[1, 2]", b"a,b\n1,2\n", b"\x01\x02", b""])
def test_unknown_format_says_how_to_name_it(head: bytes) -> None:
    with pytest.raises(InvalidFile, match=r"\?format=csv.*Content-Type: csv \(text/csv\), json \(application/json\)"):
        reader_of_upload(None, None, None, head)


@pytest.mark.parametrize("head", [b"ORC,weight\n1,2\n", b"ID3\n1\n", b"[a],[b]\n1,2\n", b"a,b\n1,2\n", b""])
def test_table_that_begins_with_a_signature_is_read(head: bytes) -> None:
    assert isinstance(reader_of_upload("csv", None, None, head), Csv)


@pytest.mark.parametrize("head", [npy_bytes([1.0]), npz_bytes(x=[1.0]), b"a,b\n1,2\n"])
def test_readable_formats_look_like_no_other(head: bytes) -> None:
    assert content_of(head) is None


def test_format_that_is_nearly_right_is_named() -> None:
    with pytest.raises(InvalidFile, match=r'there is no format "parqet": did you mean parquet\?'):
        reader_of_upload("parqet", None, None, b"")


def test_earlier_signature_is_never_the_beginning_of_a_later_one() -> None:
    for position, (offset, signature, _) in enumerate(SIGNATURES):
        later = SIGNATURES[position + 1 :]
        assert not any(o == offset and s.startswith(signature) for o, s, _ in later)
