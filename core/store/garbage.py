"""Delete blobs that no row references: of pruned checkpoints, deleted jobs and datasets, and interrupted writes."""

from itertools import islice

from sqlalchemy import select, union

from core.blobs.blobs import Blobs
from core.store.database import Database
from core.store.migrate import require_head
from core.store.tables import Checkpoint, Dataset, Spec

BATCH_BLOBS = 500
"""Blobs that are looked up in one statement."""


def collect(database: Database, blobs: Blobs) -> list[str]:
    """Delete unreferenced blobs and return their names. Any number of processes may do so at once, while others write.

    A database at another migration may have tables that this version does not know, whose rows reference blobs too.

    A blob is put or ensured just before the transaction that references it. So an old blob without a row can only get
    a row from a process that has given it a new stamp before, and a blob with another stamp is not deleted.

    Raises
    ------
    WrongRevision
        If the database is at another migration.
    """
    deleted = blobs.delete_abandoned()
    old = iter(blobs.old().items())
    while batch := dict(islice(old, BATCH_BLOBS)):
        with database.read() as s:
            named = [select(table.sha256).where(table.sha256.in_(batch)) for table in (Checkpoint, Dataset, Spec)]
            referenced = set(s.scalars(union(*named)))
        require_head(database.engine)  # after the query: until now, every reference was in a known table
        deleted += [name for name, stamp in batch.items() if name not in referenced and blobs.delete(name, stamp)]
    return deleted
