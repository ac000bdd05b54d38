"""Errors of blob storage.

BlobError
├── NoSuchBlob, DamagedBlob
└── BlobStoreUnavailable
"""


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
