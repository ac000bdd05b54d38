"""`chainrule backup` and `chainrule restore`: all that an embedded service holds, as a folder, while its jobs train."""

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sqlalchemy import make_url

from chainrule.instance_lock import claimed
from core.blobs.blobs import Blobs
from core.blobs.errors import DamagedBlob, NoSuchBlob
from core.blobs.folder import FolderBlobs
from core.blobs.storage import open_blobs
from core.settings import Settings
from core.store.backup import snapshot

DATABASE = "chainrule.db"
"""Given its name last: a folder that has it is a whole backup."""
LOCK = "up.lock"
TRIES = 5
"""Snapshots at most, each followed by a look for the files that it names and the backup lacks."""


class CannotBackUp(Exception):
    """Why there is no backup, or nothing was restored, and what to do."""


def back_up(settings: Settings, folder: Path) -> set[str]:
    """Write a backup into a new or empty folder; the names of files that are missing or damaged here as well.

    Neither order of database and files is right alone: files first would lack what came meanwhile, the database first
    would name what is removed meanwhile. So first all files that there are, then the database, then the files that it
    names and that came in between. Those are young, and nobody removes a file before it is a minute old; should this
    take longer and one be gone, database and files are taken once more.
    """
    database = _embedded(settings)
    if not database.exists():
        raise CannotBackUp(f"there is no database at {database}: name its folder by CHAINRULE_DATA_DIR")
    _require_empty(folder, "name a new folder")
    blobs, copies = open_blobs(settings), FolderBlobs(folder / "blobs")
    with _whole(copies.root, folder / DATABASE) as part:
        _take(copies, blobs, blobs.names())
        for _ in range(TRIES):
            named = snapshot(database, part)
            lacking = _take(copies, blobs, named)
            if not lacking:
                break
        for name in copies.names() - named:
            copies.path(name).unlink()
        return lacking


def restore(settings: Settings, folder: Path) -> None:
    """Fill the data folder, which must be new or empty, from a backup; a service may be started on it then.

    A job that trained when the backup was made is handed back as soon as its lease has run out, and goes on from its
    checkpoint.
    """
    database = _embedded(settings)
    if not (folder / DATABASE).exists():
        raise CannotBackUp(f"{folder} is no whole backup: it has no {DATABASE}")
    _require_empty(settings.data_dir, "set CHAINRULE_DATA_DIR to a new folder")
    if database.exists():
        raise CannotBackUp(f"there is a database at {database} already: set CHAINRULE_DATABASE_URL to a new file")
    blobs, copies = open_blobs(settings), FolderBlobs(folder / "blobs")
    with claimed(settings.data_dir), _whole(settings.blob_dir, database) as part:
        if lacking := _take(blobs, copies, copies.names()):
            raise CannotBackUp(f"the backup's file {min(lacking)} is damaged: take another backup")
        shutil.copyfile(folder / DATABASE, part)
        _sync(part)


def _embedded(settings: Settings) -> Path:
    url = make_url(settings.resolved_database_url)
    if url.get_backend_name() != "sqlite" or not url.database:
        raise CannotBackUp(
            "this is for the embedded database; docs/guides/backup.md says how it is done with PostgreSQL"
        )
    return Path(url.database)


def _require_empty(folder: Path, remedy: str) -> None:
    if folder.exists() and (not folder.is_dir() or {path.name for path in folder.iterdir()} - {LOCK}):
        raise CannotBackUp(f"{folder} is not empty: {remedy}")


def _take(into: Blobs, source: Blobs, names: Iterable[str]) -> set[str]:
    """Link or copy the blobs that are not there yet; those that cannot be had."""
    lacking = set()
    for name in sorted(set(names) - into.names()):
        try:
            into.copy_from(source, name)
        except (NoSuchBlob, DamagedBlob):
            lacking.add(name)
    return lacking


@contextmanager
def _whole(blob_dir: Path, database: Path) -> Iterator[Path]:
    """A place to write the database to, which gets its name when all else is there; an error leaves nothing."""
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
