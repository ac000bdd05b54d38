"""Deletion of unreferenced blobs, interleaved with writers in any order."""

import hashlib
import os
from collections.abc import Callable, Iterator
from copy import copy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from core.blobs import bucket
from core.blobs.blobs import Blobs
from core.blobs.bucket import BucketBlobs, open_bucket
from core.blobs.folder import RECENT_SECONDS, FolderBlobs
from core.store import datasets, garbage
from core.store.database import Database
from core.store.errors import WrongRevision
from core.store.migrate import HEAD_REVISION
from core.store.scope import EVERYTHING
from tests.builders import a_checkpoint, a_claim, a_dataset, a_guard
from tests.conftest import empty

CONTENTS = [b"a", b"b", b"c"]
NAMES = [hashlib.sha256(content).hexdigest() for content in CONTENTS]


def a_folder(root: Path) -> Blobs:
    return FolderBlobs(root)


def a_bucket(root: Path) -> Blobs:
    return open_bucket(root / "here", f"file://{root}")


OpenBlobs = Callable[[Path], Blobs]
KINDS = pytest.mark.parametrize("open_blobs", [a_folder, a_bucket])


def age(blobs: Blobs) -> None:
    """Make all blobs old."""
    if isinstance(blobs, BucketBlobs):
        root, seconds = blobs.cache.root.parent, bucket.RECENT_SECONDS
    else:
        root, seconds = blobs.path(NAMES[0]).parent, RECENT_SECONDS
    for path in root.glob("**/*"):
        stamp = path.stat().st_mtime_ns - int(1e9 * (seconds + 1))
        os.utime(path, ns=(stamp, stamp))
    if isinstance(blobs, BucketBlobs):
        blobs._put_at.clear()


@KINDS
def test_collect_deletes_old_unreferenced_blobs_only(database: Database, open_blobs: OpenBlobs, tmp_path: Path) -> None:
    blobs = open_blobs(tmp_path)
    of_dataset, of_checkpoint, unreferenced = [blobs.put(content) for content in CONTENTS]
    age(blobs)
    recent = blobs.put(b"recent")
    with database.begin() as s:
        a_dataset(s, sha256=of_dataset)
        a_checkpoint(s, a_guard(s, a_claim(s)).token, sha256=of_checkpoint)
    assert garbage.collect(database, blobs) == [unreferenced]
    assert garbage.collect(database, blobs) == []
    assert sorted(blobs.read(name) for name in (of_dataset, of_checkpoint, recent))


@KINDS
def test_collect_deletes_nothing_at_another_migration(
    database: Database, open_blobs: OpenBlobs, tmp_path: Path
) -> None:
    """A newer version may have a table whose rows reference blobs."""
    blobs = open_blobs(tmp_path)
    unreferenced = blobs.put(CONTENTS[0])
    age(blobs)
    with database.begin() as s:
        s.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    try:
        with pytest.raises(WrongRevision):
            garbage.collect(database, blobs)
    finally:
        with database.begin() as s:
            s.execute(text("UPDATE alembic_version SET version_num = :head"), {"head": HEAD_REVISION})
    assert garbage.collect(database, blobs) == [unreferenced]


class World:
    """Processes that write and delete rows with blobs; any step may be a process's last, and time passes."""

    def __init__(self, database: Database, blobs: Blobs) -> None:
        self.database, self.blobs = database, blobs
        self.writers: dict[int, Iterator[None]] = {}
        self.rows: dict[int, str] = {}

    def act(self, action: tuple[str, int]) -> None:
        """Run one step of a process, or of the clock."""
        getattr(self, action[0])(action[1])

    def write(self, which: int) -> None:
        """Run the next step of the writer of this content; a writer that never runs again has crashed."""
        writer = self.writers.setdefault(which, self._write(which))
        if next(writer, StopIteration) is StopIteration:
            del self.writers[which]

    def _write(self, which: int) -> Iterator[None]:
        sha256 = self.blobs.put(CONTENTS[which])
        yield  # as when the database is unreachable
        with self.database.begin() as s:
            self.blobs.ensure(sha256, CONTENTS[which])
            dataset = a_dataset(s, sha256=sha256)
        self.rows[which] = dataset.id

    def crash(self, which: int) -> None:
        """Stop the writer of this content between two steps."""
        self.writers.pop(which, None)

    def delete(self, which: int) -> None:
        """Delete the row of this content."""
        if (dataset_id := self.rows.pop(which, None)) is not None:
            with self.database.begin() as s:
                datasets.delete(s, EVERYTHING, dataset_id)

    def wait(self, _which: int) -> None:
        """Let time pass."""
        age(self.blobs)


def interrupted(world: World, actions: list[tuple[str, int]]) -> Blobs:
    """Return the same blobs, with actions of other processes around each step of a collection."""
    blobs = copy(world.blobs)

    def act_twice() -> None:
        for _ in range(min(2, len(actions))):
            world.act(actions.pop())

    def between(step: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any) -> Any:
            act_twice()
            answer = step(*arguments)
            act_twice()
            return answer

        return wrapped

    for name in ("old", "delete", "_delete"):
        if hasattr(blobs, name):
            setattr(blobs, name, between(getattr(blobs, name)))
    return blobs


ACTIONS = st.lists(
    st.tuples(st.sampled_from(["write", "write", "delete", "wait", "crash"]), st.integers(0, 2)), max_size=12
)

# Actions run from last to first: put a blob with its row and age it; then again for another row of the same content.
PUT_AGAIN_AND_AGED = [
    ("wait", 0),
    ("wait", 0),
    ("write", 0),
    ("write", 0),
    ("delete", 0),
    ("wait", 0),
    *[("write", 0)] * 4,
    ("write", 1),
]


@KINDS
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rounds=st.lists(st.tuples(ACTIONS, ACTIONS), min_size=1, max_size=4))
@example(rounds=[([], PUT_AGAIN_AND_AGED)])
def test_row_keeps_its_blob_under_any_interleaving(
    database: Database, open_blobs: OpenBlobs, rounds: Any, tmp_path_factory: Any
) -> None:
    empty(database)
    blobs = open_blobs(tmp_path_factory.mktemp("blobs"))
    world = World(database, blobs)
    for before, between in rounds:
        for action in before:
            world.act(action)
        garbage.collect(database, interrupted(world, list(between)))
        for which in world.rows:
            assert blobs.verify(NAMES[which]) == len(CONTENTS[which])
    world.writers.clear()
    world.wait(0)
    garbage.collect(database, blobs)
    assert sorted(blobs.old()) == sorted(NAMES[which] for which in world.rows)
