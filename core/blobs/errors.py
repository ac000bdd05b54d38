"""Errors of blob storage.

BlobError
├── NoSuchBlob, DamagedBlob
└── BlobStoreUnavailable
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
