"""What no row names is removed, and what a row names never is, whatever happens between any two steps."""

import hashlib
import os
from collections.abc import Callable, Iterator
from copy import copy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from core.blobs import bucket
from core.blobs.blobs import Blobs
from core.blobs.bucket import BucketBlobs, open_bucket
from core.blobs.folder import RECENT_SECONDS, FolderBlobs
from core.store import datasets, garbage
from core.store.database import Database
from core.store.scope import EVERYTHING
from tests.builders import a_checkpoint, a_claim, a_dataset, a_guard
from tests.conftest import empty

CONTENTS = [b"a", b"b", b"c"]
NAMES = [hashlib.sha256(content).hexdigest() for content in CONTENTS]


def a_folder(root: Path) -> Blobs:
    return FolderBlobs(root)


def a_bucket(root: Path) -> Blobs:
    return open_bucket(root / "here", f"file://{root}")


Place = Callable[[Path], Blobs]
STORES = pytest.mark.parametrize("place", [a_folder, a_bucket])


def age(blobs: Blobs) -> None:
    """Time passes, until nothing is young."""
    if isinstance(blobs, BucketBlobs):
        root, seconds = blobs.cache.root.parent, bucket.RECENT_SECONDS
    else:
        root, seconds = blobs.path(NAMES[0]).parent, RECENT_SECONDS
    for path in root.glob("**/*"):
        stamp = path.stat().st_mtime_ns - int(1e9 * (seconds + 1))
        os.utime(path, ns=(stamp, stamp))
    if isinstance(blobs, BucketBlobs):
        blobs._put_at.clear()


@STORES
def test_only_what_is_old_and_has_no_row_goes(database: Database, place: Place, tmp_path: Path) -> None:
    blobs = place(tmp_path)
    named_by_a_dataset, named_by_a_checkpoint, garbage_ = [blobs.put(content) for content in CONTENTS]
    age(blobs)
    young = blobs.put(b"young")
    with database.begin() as s:
        a_dataset(s, sha256=named_by_a_dataset)
        a_checkpoint(s, a_guard(s, a_claim(s)).token, sha256=named_by_a_checkpoint)
    assert garbage.collect(database, blobs) == [garbage_]
    assert garbage.collect(database, blobs) == []
    assert sorted(blobs.read(name) for name in (named_by_a_dataset, named_by_a_checkpoint, young))


class World:
    """Writers and deleters, each of whose steps may be its last; time passes between them."""

    def __init__(self, database: Database, blobs: Blobs) -> None:
        self.database, self.blobs = database, blobs
        self.writers: dict[int, Iterator[None]] = {}
        self.rows: dict[int, str] = {}

    def act(self, action: tuple[str, int]) -> None:
        """One step of somebody, or of the clock."""
        getattr(self, action[0])(action[1])

    def write(self, which: int) -> None:
        """The next step of this content's writer; who is never asked again has crashed."""
        writer = self.writers.setdefault(which, self._write(which))
        if next(writer, StopIteration) is StopIteration:
            del self.writers[which]

    def _write(self, which: int) -> Iterator[None]:
        sha256 = self.blobs.put(CONTENTS[which])
        yield  # for as long as the database is away
        with self.database.begin() as s:
            self.blobs.ensure(sha256, CONTENTS[which])
            dataset = a_dataset(s, sha256=sha256)
        self.rows[which] = dataset.id

    def crash(self, which: int) -> None:
        """Its writer is never heard of again."""
        self.writers.pop(which, None)

    def delete(self, which: int) -> None:
        """The row goes."""
        if (dataset_id := self.rows.pop(which, None)) is not None:
            with self.database.begin() as s:
                datasets.delete(s, EVERYTHING, dataset_id)

    def wait(self, _which: int) -> None:
        """Time passes."""
        age(self.blobs)


def interrupted(world: World, actions: list[tuple[str, int]]) -> Blobs:
    """The same blobs; around each step of a collection somebody else takes theirs."""
    blobs = copy(world.blobs)

    def others() -> None:
        for _ in range(min(2, len(actions))):
            world.act(actions.pop())

    def between(step: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any) -> Any:
            others()
            answer = step(*arguments)
            others()
            return answer

        return wrapped

    for name in ("old", "delete", "_delete"):
        if hasattr(blobs, name):
            setattr(blobs, name, between(getattr(blobs, name)))
    return blobs


ACTIONS = st.lists(
    st.tuples(st.sampled_from(["write", "write", "delete", "wait", "crash"]), st.integers(0, 2)), max_size=12
)

# The last comes first: put, named, old; then another row of the same content, which is old too before the first's go.
PUT_ANEW_AND_AGED = [
    ("wait", 0),
    ("wait", 0),
    ("write", 0),
    ("write", 0),
    ("delete", 0),
    ("wait", 0),
    *[("write", 0)] * 4,
    ("write", 1),
]


@STORES
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rounds=st.lists(st.tuples(ACTIONS, ACTIONS), min_size=1, max_size=4))
@example(rounds=[([], PUT_ANEW_AND_AGED)])
def test_whatever_happens_between_a_row_has_its_file(
    database: Database, place: Place, rounds: Any, tmp_path_factory: Any
) -> None:
    empty(database)
    blobs = place(tmp_path_factory.mktemp("blobs"))
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
