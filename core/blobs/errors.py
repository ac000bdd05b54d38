"""Errors of blob storage.

BlobError
├── NoSuchBlob, DamagedBlob
├── BlobStoreUnavailable
└── NoSuchUpload, WrongOffset, UploadBusy, UploadTooLong, UploadIncomplete, PartialUploadsFull
"""

import errno

DISK_FULL_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""The errors of a file for which there is no room."""
READ_ONLY_ERRNOS = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})
"""The errors of a file that may not be written."""


class BlobError(Exception):
    """A blob cannot be read or written."""


class BlobStoreUnavailable(BlobError):
    """The bucket does not answer."""


class NoSuchBlob(BlobError):
    """There is no blob {sha256}."""

    def __init__(self, sha256: str) -> None:
        super().__init__(f"there is no blob {sha256}")
        self.sha256 = sha256


class DamagedBlob(BlobError):
    """The bytes of blob {sha256} do not have this hash."""

    def __init__(self, sha256: str) -> None:
        super().__init__(f"the bytes of blob {sha256} do not have this hash: the blob is damaged")
        self.sha256 = sha256


class NoSuchUpload(BlobError):
    """There is no upload {upload_id}."""

    def __init__(self, upload_id: str) -> None:
        super().__init__(
            f"there is no upload {upload_id}: it has expired, was deleted, or lies on another machine; create a new one"
        )


class WrongOffset(BlobError):
    """A part of an upload begins elsewhere than the stored bytes end."""

    def __init__(self, upload_id: str, stored: int, given: int) -> None:
        super().__init__(
            f"{upload_id} has {stored:,} bytes, and this part begins at {given:,}: send the bytes from {stored} with "
            f"Upload-Offset: {stored}"
        )


class UploadBusy(BlobError):
    """Another request uses the upload."""

    def __init__(self, upload_id: str) -> None:
        super().__init__(f"another request writes to {upload_id}: try again when it has ended, or in half a minute")


class UploadTooLong(BlobError):
    """A part of an upload has more bytes than are left."""

    def __init__(self, upload_id: str, length: int) -> None:
        super().__init__(
            f"this part exceeds the {length:,} bytes that Upload-Length of {upload_id} declares, and none of it was "
            "stored: send the bytes that are left, or create an upload of the right length"
        )


class UploadIncomplete(BlobError):
    """Bytes of the upload are missing."""

    def __init__(self, upload_id: str, stored: int, length: int) -> None:
        super().__init__(
            f"{upload_id} has {stored:,} of {length:,} bytes: send the others with PATCH and Upload-Offset: {stored}"
        )


class PartialUploadsFull(BlobError):
    """The limit of unfinished uploads is reached."""

    def __init__(self, used: int, added: int, limit: int, unit: str, variable: str) -> None:
        super().__init__(
            f"{used:,} of {limit:,} {unit} of unfinished uploads are in use, and this one needs {added:,}: delete or "
            f"complete others, or raise {variable}"
        )
