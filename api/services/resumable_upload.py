"""Resumable uploads: their metadata, and how their bytes become the file of a dataset."""

import asyncio
import base64
import binascii
from contextlib import suppress
from pathlib import Path

import structlog
from starlette.concurrency import run_in_threadpool

from api.http.errors import InvalidParameter
from api.services.upload import CHUNK_BYTES, HEAD_BYTES, Upload
from core.blobs.blobs import Blobs
from core.blobs.errors import NoSuchBlob, NoSuchUpload, UploadBusy, UploadIncomplete
from core.blobs.partial import PartialLimits, PartialUpload, PartialUploads
from core.blobs.writer import BlobWriter
from core.settings import Settings
from core.store.scope import Scope

EXPIRY_CHECK_SECONDS = 600.0
MAX_METADATA_LENGTH = 4096
"""Characters of the header `Upload-Metadata`."""

log = structlog.get_logger("api")


def open_partial_uploads(settings: Settings) -> PartialUploads:
    """Return the uploads in the data folder, with the limits of the settings."""
    limits = PartialLimits(
        settings.max_partial_uploads, settings.max_partial_upload_bytes, settings.partial_upload_seconds
    )
    return PartialUploads(settings.data_dir / "uploads", limits)


async def remove_expired(uploads: PartialUploads) -> None:
    """Delete abandoned uploads at the start and every few minutes, until cancelled."""
    while True:
        try:
            await run_in_threadpool(uploads.remove_expired)
        except OSError as error:
            log.warning("cannot delete abandoned uploads: trying again", reason=str(error))
        await asyncio.sleep(EXPIRY_CHECK_SECONDS)


def parse_metadata(header: str) -> dict[str, str]:
    """Return the pairs of an `Upload-Metadata` header, such as `filename YS5jc3Y=,name YQ==`. Raise `InvalidParameter`.

    A key without a value has the empty text.
    """
    if len(header) > MAX_METADATA_LENGTH:
        raise InvalidParameter("Upload-Metadata", f"must have at most {MAX_METADATA_LENGTH:,} characters: shorten it")
    metadata: dict[str, str] = {}
    for pair in filter(None, (part.strip() for part in header.split(","))):
        key, _, value = pair.partition(" ")
        try:
            text = base64.b64decode(value.strip(), validate=True).decode()
        except (binascii.Error, ValueError):
            raise InvalidParameter(
                "Upload-Metadata", "must be pairs of a key and a UTF-8 text in base64, such as filename YS5jc3Y="
            ) from None
        if key in metadata:
            raise InvalidParameter("Upload-Metadata", "has a key twice: leave one of them out")
        metadata[key] = text
    return metadata


def resolve_upload(uploads: PartialUploads, scope: Scope, upload_id: str, latest: str) -> PartialUpload:
    """Return the upload of this id, or the newest for `latest`. Raise `NoSuchUpload`."""
    newest = uploads.newest(scope.owner) if upload_id == latest else None
    return uploads.get(newest or upload_id, scope.owner)


def assemble(uploads: PartialUploads, blobs: Blobs, scope: Scope, upload_id: str, writer: BlobWriter) -> Upload:
    """Write a complete upload's bytes into the writer, and return its metadata.

    The upload stays, so that its bytes can be read again with another format or other types.

    Raises
    ------
    NoSuchUpload, UploadIncomplete
        If there are no or not all bytes.
    """
    partial = uploads.get(upload_id, scope.owner)
    if not partial.complete:
        raise UploadIncomplete(partial.id, partial.offset, partial.length)
    upload = Upload(
        file_name=partial.metadata.get("filename"), content_type=partial.metadata.get("filetype", "").lower() or None
    )
    if name := partial.metadata.get("name"):
        upload.fields["name"] = name
    try:
        _copy(_bytes_of(uploads, blobs, partial), writer, upload)
    except (FileNotFoundError, NoSuchBlob):  # deleted meanwhile
        raise NoSuchUpload(upload_id) from None
    if writer.bytes != partial.length:  # another request has just made it a blob
        raise UploadBusy(upload_id)
    return upload


def finish(uploads: PartialUploads, scope: Scope, upload_id: str, sha256: str) -> None:
    """Free the bytes of an upload that became a blob; one that is in use or gone frees them when it expires."""
    with suppress(NoSuchUpload, UploadBusy):
        uploads.finish(upload_id, scope.owner, sha256)


def _bytes_of(uploads: PartialUploads, blobs: Blobs, partial: PartialUpload) -> Path:
    return blobs.fetch(partial.sha256) if partial.sha256 else uploads.path(partial.id)


def _copy(source: Path, writer: BlobWriter, upload: Upload) -> None:
    with source.open("rb") as file:
        while data := file.read(CHUNK_BYTES):
            upload.head += data[: HEAD_BYTES - len(upload.head)]
            writer.write(data)
