"""Specs as posted: small ones in rows, large ones in blobs."""

import json
from pathlib import Path

import pytest

from core.blobs.errors import DamagedBlob, NoSuchBlob
from core.blobs.folder import FolderBlobs
from core.jobs.outline import MAX_TEXT_BYTES
from core.store.specs import PostedSpec, put, read_text
from core.store.tables import Spec

SMALL = b'{"name": "' + b"n" * (MAX_TEXT_BYTES - 12) + b'"}'
LARGE = SMALL + b" "


def test_spec_of_64_kilobytes_is_stored_in_its_row(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path)
    posted = PostedSpec.of(SMALL)
    assert (put(blobs, posted), posted.row.encode(), blobs.names()) == (None, SMALL, set())
    assert read_text(blobs, Spec(job_id="one", json=posted.row)).encode() == SMALL


def test_larger_spec_is_stored_as_a_blob_with_an_outline(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path)
    posted = PostedSpec.of(LARGE)
    sha256 = put(blobs, posted)
    assert blobs.names() == {sha256}
    assert list(json.loads(posted.row)) == ["name"]
    assert len(posted.row) < 1000
    assert read_text(blobs, Spec(job_id="one", json=posted.row, sha256=sha256)).encode() == LARGE


def test_read_of_a_damaged_or_missing_blob_raises(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path)
    row = Spec(job_id="one", json="{}", sha256=put(blobs, PostedSpec.of(LARGE)))
    path = blobs.path(row.sha256 or "")
    path.write_bytes(b"{}")
    with pytest.raises(DamagedBlob):
        read_text(blobs, row)
    path.unlink()
    with pytest.raises(NoSuchBlob):
        read_text(blobs, row)
