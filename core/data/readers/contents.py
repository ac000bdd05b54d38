"""What the first bytes of a file look like, for the message to a client whose file cannot be read.

A table of magic numbers: signature, offset, what it is and what to do with it. The readers' own formats are not here.
"""

from typing import NamedTuple

FIRST_ENTRY_BYTES = 256
"""First bytes of a ZIP archive, which have the name of its first entry."""


class Content(NamedTuple):
    """A kind of content: a noun phrase, what a client can do with it, and whether it may be a table all the same."""

    looks_like: str
    remedy: str
    may_be_table: bool = False


_AS_CSV = "save it as CSV"
_UNPACK = "unpack it, and send the file inside"
_READ_TABLE = "read it with pandas, and write it with to_csv"
_TO_NUMBERS = "send its values as CSV or as a NumPy array"
_INTO_ARCHIVE = "put such files into a zip archive, in a folder for each class"
_NO_PICKLE = "pickles can run code and are not read: write it with to_csv or np.save"
_ORIGINAL = "send the data itself; check the address or path that it came from"

SIGNATURES: tuple[tuple[int, bytes, Content], ...] = (
    (0, b"PK\x03\x04\x14\x00\x06\x00", Content("an Excel workbook or another Office document", _AS_CSV)),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Content("an old Excel workbook or another Office document", _AS_CSV)),
    (0, b"ARROW1", Content("an Arrow or Feather file", _READ_TABLE)),
    (0, b"FEA1", Content("a Feather file", _READ_TABLE)),
    (0, b"ORC", Content("ORC", _READ_TABLE)),
    (0, b"Obj\x01", Content("Avro", _READ_TABLE)),
    (0, b"\x89HDF\r\n\x1a\n", Content("HDF5", _TO_NUMBERS)),
    (0, b"MATLAB 5.0", Content("a MATLAB file", _TO_NUMBERS)),
    (0, b"CDF\x01", Content("NetCDF", _TO_NUMBERS)),
    (0, b"CDF\x02", Content("NetCDF", _TO_NUMBERS)),
    (0, b"BZh", Content("bzip2", _UNPACK)),
    (0, b"\xfd7zXZ\x00", Content("xz", _UNPACK)),
    (0, b"7z\xbc\xaf\x27\x1c", Content("a 7-Zip archive", _UNPACK)),
    (0, b"Rar!", Content("a RAR archive", _UNPACK)),
    (0, b"PK\x05\x06", Content("an empty ZIP archive", "put the data into it")),
    (0, b"\x80\x02", Content("a Python pickle", _NO_PICKLE)),
    (0, b"\x80\x03", Content("a Python pickle", _NO_PICKLE)),
    (0, b"\x80\x04", Content("a Python pickle", _NO_PICKLE)),
    (0, b"\x80\x05", Content("a Python pickle", _NO_PICKLE)),
    (0, b"\x89PNG\r\n\x1a\n", Content("a PNG image", _INTO_ARCHIVE)),
    (0, b"\xff\xd8\xff", Content("a JPEG image", _INTO_ARCHIVE)),
    (0, b"GIF8", Content("a GIF image", _INTO_ARCHIVE)),
    (0, b"II*\x00", Content("a TIFF image", _INTO_ARCHIVE)),
    (0, b"MM\x00*", Content("a TIFF image", _INTO_ARCHIVE)),
    (8, b"WEBP", Content("a WebP image", _INTO_ARCHIVE)),
    (8, b"WAVE", Content("WAV sound", _INTO_ARCHIVE)),
    (0, b"fLaC", Content("FLAC sound", _INTO_ARCHIVE)),
    (0, b"ID3", Content("MP3 sound", _INTO_ARCHIVE)),
    (0, b"OggS", Content("Ogg sound", _INTO_ARCHIVE)),
    (4, b"ftyp", Content("an MP4 video", _TO_NUMBERS)),
    (0, b"%PDF-", Content("a PDF document", "copy its table into a CSV file")),
    (0, b"\x7fELF", Content("a program", _ORIGINAL)),
)
"""Offset, signature and content; the first match counts."""

TEXTS: tuple[tuple[tuple[bytes, ...], Content], ...] = (
    ((b"<!doctype html", b"<html", b"<head", b"<body"), Content("a web page", _ORIGINAL)),
    ((b"version https://git-lfs",), Content("a Git LFS pointer", "fetch the file itself with git lfs pull")),
    ((b"<?xml",), Content("XML", _AS_CSV)),
    ((b"%relation", b"@relation"), Content("an ARFF file", _AS_CSV)),
    (
        (b"{", b"["),
        Content("JSON", "write its records as CSV, or put small data into the job as inline data", may_be_table=True),
    ),
)
"""The beginnings of texts in lower case, after blanks, and their content; the first match counts."""

ARCHIVE_ENTRIES: tuple[tuple[bytes, Content], ...] = (
    (b"mimetypeapplication/vnd.oasis", Content("an OpenDocument spreadsheet", _AS_CSV)),
    (b"[Content_Types].xml", Content("an Excel workbook or another Office document", _AS_CSV)),
    (b"xl/", Content("an Excel workbook", _AS_CSV)),
    (b"data.pkl", Content("a PyTorch file", _TO_NUMBERS)),
)
"""What the first entries of a ZIP archive say about it; an archive of .npy files is the readers' own format."""

_EMPTY = Content("an empty file", "send its bytes")


def content_of(head: bytes) -> Content | None:
    """Return what a file with these first bytes looks like; None where they are no known sign."""
    if not head:
        return _EMPTY
    return _of_archive(head) or _of_signature(head) or _of_text(head)


def _of_archive(head: bytes) -> Content | None:
    if not head.startswith(b"PK\x03\x04") or b".npy" in head:
        return None
    begin = head[:FIRST_ENTRY_BYTES]
    return next((content for name, content in ARCHIVE_ENTRIES if name in begin), None)


def _of_signature(head: bytes) -> Content | None:
    if head.startswith(b"PK\x03\x04") and b".npy" in head:
        return None
    found = next((one for offset, signature, one in SIGNATURES if head.startswith(signature, offset)), None)
    # A table may begin with a signature that is a word, such as ORC, but has no bytes other than text.
    return found._replace(may_be_table=True) if found and _is_text(head) else found


def _is_text(head: bytes) -> bool:
    return all(byte >= 0x20 or byte in b"\t\r\n" for byte in head)


def _of_text(head: bytes) -> Content | None:
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return next((content for beginnings, content in TEXTS if text.startswith(beginnings)), None)
