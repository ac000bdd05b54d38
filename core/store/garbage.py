"""Blobs that no row names any more: pruned checkpoints, deleted jobs and datasets, what a crash left."""

from itertools import islice

from sqlalchemy import select

from core.blobs.blobs import Blobs
from core.store.database import Database
from core.store.tables import Checkpoint, Dataset

PORTION = 500
"""Names of one question."""


def collect(database: Database, blobs: Blobs) -> list[str]:
    """Remove them; the names of those removed. Any number of processes may do so at once, while others write.

    A blob is put, or kept, just before the transaction that names it. One that is old and has no row now can only get
    a row from who gives it another stamp before, and with that it is not deleted.
    """
    removed = blobs.delete_abandoned()
    old = iter(blobs.old().items())
    while portion := dict(islice(old, PORTION)):
        with database.read() as s:
            checkpoints = select(Checkpoint.sha256).where(Checkpoint.sha256.in_(portion))
            datasets = select(Dataset.sha256).where(Dataset.sha256.in_(portion))
            named = set(s.scalars(checkpoints.union(datasets)))
        removed += [name for name, stamp in portion.items() if name not in named and blobs.delete(name, stamp)]
    return removed
