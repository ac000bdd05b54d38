"""`chainrule backup` and `chainrule restore`: copy all data of an embedded service, even while it runs."""

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sqlalchemy import make_url

from chainrule.instance_lock import LOCK_FILE, locked_folder
from core.blobs.blobs import Blobs
from core.blobs.errors import DamagedBlob, NoSuchBlob
from core.blobs.folder import FolderBlobs
from core.blobs.storage import open_blobs
from core.settings import Settings
from core.store.backup import snapshot

DATABASE = "chainrule.db"
"""Created last: a folder that has this file is a complete backup."""
MAX_SNAPSHOTS = 5
"""Database snapshots that are tried at most, until all files that the snapshot names can be copied."""


class CannotBackUp(Exception):
    """Nothing was backed up or restored; the message says why and what to do."""


def back_up(settings: Settings, folder: Path) -> set[str]:
    """Write a backup into a new or empty folder; return the names of files that are missing or damaged in the service.

    Neither order of database and files is correct alone: copying files first misses new files, and copying the
    database first can name files that are removed meanwhile. So all present files are copied first, then the
    database, then the files that it names and that are new. No file is removed before it is a minute old; if the copy
    takes longer and a file is gone, database and files are copied again.
    """
    database = _database_path(settings)
    if not database.exists():
        raise CannotBackUp(f"there is no database at {database}: set CHAINRULE_DATA_DIR to its folder")
    _require_empty(folder, "choose a new folder")
    blobs, copies = open_blobs(settings), FolderBlobs(folder / "blobs")
    with _completed(copies.root, folder / DATABASE) as part:
        _copy_missing(copies, blobs, blobs.names())
        for _ in range(MAX_SNAPSHOTS):
            referenced = snapshot(database, part)
            missing = _copy_missing(copies, blobs, referenced)
            if not missing:
                break
        for name in copies.names() - referenced:
            copies.path(name).unlink()
        return missing


def restore(settings: Settings, folder: Path) -> None:
    """Fill a new or empty data folder from a backup, ready for a service to start on it.

    A job that was running at the time of the backup is requeued when its lease runs out, and resumes from its
    checkpoint.
    """
    database = _database_path(settings)
    if not (folder / DATABASE).exists():
        raise CannotBackUp(f"{folder} is not a complete backup: it has no {DATABASE}")
    _require_empty(settings.data_dir, "set CHAINRULE_DATA_DIR to a new folder")
    if database.exists():
        raise CannotBackUp(f"there already is a database at {database}: set CHAINRULE_DATABASE_URL to a new file")
    blobs, copies = open_blobs(settings), FolderBlobs(folder / "blobs")
    with locked_folder(settings.data_dir), _completed(settings.blob_dir, database) as part:
        if missing := _copy_missing(blobs, copies, copies.names()):
            raise CannotBackUp(f"the backup's file {min(missing)} is damaged: take another backup")
        shutil.copyfile(folder / DATABASE, part)
        _sync(part)


def _database_path(settings: Settings) -> Path:
    url = make_url(settings.resolved_database_url)
    if url.get_backend_name() != "sqlite" or not url.database:
        raise CannotBackUp(
            "this command is for the embedded database; docs/guides/backup.md explains backups of PostgreSQL"
        )
    return Path(url.database)


def _require_empty(folder: Path, remedy: str) -> None:
    if folder.exists() and (not folder.is_dir() or {path.name for path in folder.iterdir()} - {LOCK_FILE}):
        raise CannotBackUp(f"{folder} is not empty: {remedy}")


def _copy_missing(into: Blobs, source: Blobs, names: Iterable[str]) -> set[str]:
    """Link or copy the blobs that `into` lacks; return the names of those that are missing or damaged in `source`."""
    missing = set()
    for name in sorted(set(names) - into.names()):
        try:
            into.copy_from(source, name)
        except (NoSuchBlob, DamagedBlob):
            missing.add(name)
    return missing


@contextmanager
def _completed(blob_dir: Path, database: Path) -> Iterator[Path]:
    """Yield a temporary path for the database, renamed when everything else is complete; remove all after an error."""
    database.parent.mkdir(parents=True, exist_ok=True)
    part = database.with_name(f"{database.name}.part")
    try:
        yield part
        part.replace(database)
        _sync(database.parent)
    except BaseException:
        shutil.rmtree(blob_dir, ignore_errors=True)
        with suppress(OSError):
            part.unlink()
        raise


def _sync(path: Path) -> None:
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
