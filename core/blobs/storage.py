"""Where this service keeps its blobs: in a folder, or in the bucket that its settings name."""

from core.blobs.folder import Blobs
from core.settings import Settings


def open_blobs(settings: Settings) -> Blobs:
    """The blobs of these settings."""
    if settings.blobs_url is None:
        return Blobs(settings.blob_dir)
    from core.blobs.bucket import connect  # noqa: PLC0415 - needs an extra

    return connect(settings.blob_dir, settings.blobs_url)
