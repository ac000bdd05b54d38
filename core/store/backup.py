"""A copy of an SQLite database as it is at one moment, while others write to it."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

NAMED = "SELECT sha256 FROM checkpoints UNION SELECT sha256 FROM datasets"


def snapshot(database: Path, copy: Path) -> set[str]:
    """Write the database as it is now to a file of its own, on the disk when this returns; the blobs that it names.

    SQLite's own backup holds no writer up, and the copy is one plain file without a log beside it. Raises
    `sqlite3.Error` where the one cannot be read or the other not be written.
    """
    copy.unlink(missing_ok=True)
    with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
        target.execute("PRAGMA journal_mode = DELETE")
        named = {name for (name,) in target.execute(NAMED)}
    with copy.open("rb") as file:
        os.fsync(file.fileno())
    return named
