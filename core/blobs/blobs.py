"""The interface of blob storage: byte strings named by their sha256.

Members: `FolderBlobs` (folder.py) and `BucketBlobs` (bucket.py); `open_blobs` (storage.py) opens one by the settings.

A row of the database names a blob. To have no row without its blob, a blob is put, or ensured, shortly before the
transaction that writes its row, and only old blobs that no row names are deleted (`core.store.garbage`).
"""

import re
from io import BufferedReader
from pathlib import Path
from typing import Protocol

from core.blobs.writer import BlobWriter

CHUNK_BYTES = 2**20
"""Bytes that are copied or hashed at a time."""
SHA256_PATTERN = re.compile(r"[0-9a-f]{64}")


class Blobs(Protocol):
    """Blob storage; methods are safe for threads and for several processes.

    All methods that take a `sha256` raise `ValueError` where it is not one in lower-case hexadecimal, so that no other
    text becomes part of a path or key. Those that reach a bucket raise `BlobStoreUnavailable` where it does not answer.
    """

    probe_seconds: float
    """Seconds between two calls of `check_writable`; a bucket bills each."""

    def check_writable(self) -> None:
        """Store some bytes and leave none. Raise `OSError` where the disk refuses them."""

    def put(self, data: bytes) -> str:
        """Store the bytes durably and return their sha256."""

    def writer(self) -> BlobWriter:
        """Return a writer for bytes that arrive in pieces; without its `commit` nothing is stored."""

    def path(self, sha256: str) -> Path:
        """Return where the blob's file is on this machine, or would be."""

    def fetch(self, sha256: str) -> Path:
        """Return the blob as a local file, to be read soon; its bytes are not verified.

        Raises
        ------
        NoSuchBlob
            If it was never put, or is deleted.
        """

    def open(self, sha256: str) -> BufferedReader:
        """Open the blob's local file for reading; its bytes are not verified. Raises as `fetch`."""

    def read(self, sha256: str) -> bytes:
        """Return the blob's bytes, verified.

        Raises
        ------
        NoSuchBlob, DamagedBlob
            If it is gone, or its bytes do not have this hash.
        """

    def verify(self, sha256: str) -> int:
        """Verify the stored bytes in chunks and return their number. Raises as `read`."""

    def fetch_verified(self, sha256: str) -> Path:
        """Return the blob as a local file whose bytes are verified. Raises as `read`."""

    def ensure(self, sha256: str, data: bytes) -> None:
        """Make sure that the blob exists and is recent, so that nobody deletes it before its row is written."""

    def names(self) -> set[str]:
        """Return the sha256 of all blobs."""

    def copy_from(self, source: "Blobs", sha256: str) -> None:
        """Copy a blob of another storage to this one.

        Raises
        ------
        NoSuchBlob, DamagedBlob
            If it is gone there, or its copy does not have this hash.
        """

    def old(self) -> dict[str, int]:
        """Return the sha256 of all blobs that are not recent, each with a stamp that changes when it is put again."""

    def delete(self, sha256: str, stamp: int) -> bool:
        """Delete a blob that `old` returned; return False where it is gone, or was put or ensured since that stamp."""

    def delete_abandoned(self) -> list[str]:
        """Delete files that interrupted writers left, and return their names."""
