"""Open the blob storage that the settings name: a folder or a bucket."""

from core.blobs.blobs import Blobs
from core.blobs.folder import FolderBlobs
from core.settings import Settings


def open_blobs(settings: Settings) -> Blobs:
    """Return the blobs of these settings."""
    if settings.blobs_url is None:
        return FolderBlobs(settings.blob_dir)
    from core.blobs.bucket import open_bucket  # noqa: PLC0415 - needs an extra

    return open_bucket(settings.blob_dir, settings.blobs_url)
