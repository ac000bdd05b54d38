"""A resumable upload as JSON and as headers."""

from email.utils import formatdate

from pydantic import BaseModel, Field

from core.blobs.partial import PartialUpload


class ResumableUpload(BaseModel):
    """A file that arrives in parts."""

    id: str
    length: int = Field(description="Declared size in bytes.")
    offset: int = Field(description="Bytes received; the next part begins here.")
    complete: bool = Field(description="Whether all bytes were received.")
    metadata: dict[str, str] = Field(description="What the client said about the file, decoded.")


def upload_view(upload: PartialUpload) -> ResumableUpload:
    """Return the view of an upload."""
    return ResumableUpload(
        id=upload.id,
        length=upload.length,
        offset=upload.offset,
        complete=upload.complete,
        metadata=dict(upload.metadata),
    )


def upload_headers(upload: PartialUpload) -> dict[str, str]:
    """Return the headers that describe an upload in tus 1.0."""
    return {
        "Upload-Offset": str(upload.offset),
        "Upload-Length": str(upload.length),
        "Upload-Expires": formatdate(upload.expires_at, usegmt=True),
        "Cache-Control": "no-store",
    }
