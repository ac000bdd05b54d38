"""Copy an SQLite database at one moment, while other processes write to it."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

REFERENCED_BLOBS = (
    "SELECT sha256 FROM checkpoints UNION SELECT sha256 FROM datasets "
    "UNION SELECT sha256 FROM specs WHERE sha256 IS NOT NULL"
)


def snapshot(database: Path, copy: Path) -> set[str]:
    """Copy the database to a new file, synced to disk on return, and return the sha256 of the blobs it references.

    SQLite's backup API does not block writers, and the copy is one plain file without a write-ahead log beside it.

    Raises
    ------
    sqlite3.Error
        If the database cannot be read or the copy cannot be written.
    """
    copy.unlink(missing_ok=True)
    with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
        target.execute("PRAGMA journal_mode = DELETE")
        referenced = {sha256 for (sha256,) in target.execute(REFERENCED_BLOBS)}
    with copy.open("rb") as file:
        os.fsync(file.fileno())
    return referenced
