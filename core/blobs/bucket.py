"""Blobs in a bucket, so that machines without a common folder share them; a folder here keeps what was used lately.

Each put makes an object of its own, `<sha256>/<random>`. No bucket can delete an object on the condition that nobody
has put it anew meanwhile, but what was put meanwhile has another name here.
"""

import hashlib
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import obstore
from obstore.exceptions import BaseError
from obstore.store import from_url

from core.blobs.folder import NAME, PIECE, Blobs, BlobsAway, DamagedBlob, NoSuchBlob
from core.settings import SettingsError, variable

if TYPE_CHECKING:  # they are of stubs alone
    from obstore.store import ClientConfig, ObjectStore, RetryConfig

YOUNG = 3600.0
"""Seconds in which who put a blob has written the row that names it. The bucket's clock may be off by most of it."""
UNUSED = 86_400.0
"""Seconds after which a file that nobody used goes from this machine."""
FORGET_EVERY = 600.0
"""Seconds between two looks for such files."""
RETRIES: "RetryConfig" = {"max_retries": 5, "retry_timeout": timedelta(seconds=20)}
TIMEOUTS: "ClientConfig" = {"allow_http": True, "connect_timeout": "5s", "read_timeout": "20s", "timeout": "1h"}

Answer = TypeVar("Answer")


def connect(root: Path, url: str) -> "Bucket":
    """The bucket at an address such as `s3://bucket/prefix`; keys and region come from the provider's own variables.

    Raises
    ------
    SettingsError
        the address is none.
    """
    try:
        if url.startswith("file:"):
            return Bucket(root, from_url(url, mkdir=True))
        return Bucket(root, from_url(url, retry_config=RETRIES, client_options=TIMEOUTS))
    except (BaseError, ValueError) as error:
        raise SettingsError(variable("blobs_url"), str(error).splitlines()[0]) from None


class Bucket(Blobs):
    """The blobs in a bucket. Not to be used in a process that forks afterwards: obstore's threads would stay behind.

    Parameters
    ----------
    root
        The folder that keeps what was used lately.
    store
        The bucket.
    """

    def __init__(self, root: Path, store: "ObjectStore") -> None:
        super().__init__(root)
        self._store = store
        self._here = Blobs(root)
        self._put_at: dict[str, float] = {}
        self._forget_at = time.monotonic() + FORGET_EVERY

    def fetch(self, sha256: str) -> Path:
        """The blob as a file of this machine, verified where it had to be fetched."""
        path = self.path(sha256)
        try:
            os.utime(path)
        except FileNotFoundError:
            self._download(sha256)
        return path

    def read(self, sha256: str) -> bytes:
        """The blob's bytes, verified."""
        return self._again(sha256, super().read)

    def whole(self, sha256: str) -> Path:
        """As `fetch`, each byte verified."""

        def look(sha256: str) -> Path:
            path = self.fetch(sha256)
            self._here.verify(sha256)
            return path

        return self._again(sha256, look)

    def verify(self, sha256: str) -> int:
        """How many bytes the blob has, each of them verified as it comes from the bucket."""
        digest = hashlib.sha256()
        size = 0
        for piece in self._stream(sha256, self._keys(sha256)[0]):
            digest.update(piece)
            size += len(piece)
        if digest.hexdigest() != sha256:
            raise DamagedBlob(sha256)
        return size

    def keep(self, sha256: str, data: bytes) -> None:
        """Have the blob be there and young, just before a row is written that names it."""
        if time.monotonic() - self._put_at.get(sha256, float("-inf")) > YOUNG / 2:
            self.put(data)

    def names(self) -> set[str]:
        """The names of all blobs in the bucket."""
        return {name for name, _, _ in self._objects()}

    def take(self, source: Blobs, sha256: str) -> None:
        """Have a blob of another place here too."""
        self._copy(source, sha256)

    def old(self) -> dict[str, int]:
        """The names of all blobs that are not young, each with its stamp."""
        newest: dict[str, int] = {}
        for name, stamp, _ in self._objects():
            newest[name] = max(stamp, newest.get(name, 0))
        latest = time.time_ns() - int(YOUNG * 1e9)
        return {name: stamp for name, stamp in sorted(newest.items()) if stamp < latest}

    def delete(self, sha256: str, stamp: int) -> bool:
        """As of a folder, with the stamp of what was put last."""
        found = list(self._objects(sha256))
        if max((put_at for _, put_at, _ in found), default=None) != stamp:
            return False
        self._delete([key for _, _, key in found])
        self.path(sha256).unlink(missing_ok=True)
        return True

    def clear(self) -> list[str]:
        """Remove what a crash left half written here, and all but the newest of what was put more than once."""
        found = sorted(self._objects(), reverse=True)
        latest = time.time_ns() - int(YOUNG * 1e9)
        older = [
            key
            for (name, stamp, key), newer in zip(found[1:], found, strict=False)
            if name == newer[0] and newer[1] < latest
        ]
        self._delete(older)
        return super().clear()

    def _adopt(self, part: Path, sha256: str) -> None:
        try:
            with _reaching():
                obstore.put(self._store, f"{sha256}/{secrets.token_hex(16)}", part)
        except FileNotFoundError:
            raise BlobsAway("there is no such bucket") from None
        now = time.monotonic()
        self._put_at = {name: at for name, at in self._put_at.items() if now - at < YOUNG} | {sha256: now}
        super()._adopt(part, sha256)
        self._forget_unused()

    def _download(self, sha256: str) -> None:
        """Have the newest object of the blob that is whole here."""
        for key in self._keys(sha256):
            with self._here.writer() as writer:
                for piece in self._stream(sha256, key):
                    writer.write(piece)
                if writer.sha256 == sha256:
                    writer.commit()
                    self._forget_unused()
                    return
        raise DamagedBlob(sha256)

    def _keys(self, sha256: str) -> list[str]:
        """The keys of what was put of a blob, the newest first."""
        if keys := [key for _, _, key in sorted(self._objects(sha256), reverse=True)]:
            return keys
        raise NoSuchBlob(sha256)

    def _stream(self, sha256: str, key: str) -> Iterator[bytes]:
        try:
            with _reaching():
                for piece in obstore.get(self._store, key).stream(min_chunk_size=PIECE):
                    yield bytes(piece)
        except FileNotFoundError:
            raise NoSuchBlob(sha256) from None

    def _again(self, sha256: str, look: Callable[[str], Answer]) -> Answer:
        """What `look` finds; where the file of this machine is damaged, that of the bucket."""
        try:
            return look(sha256)
        except DamagedBlob:
            self.path(sha256).unlink(missing_ok=True)
            return look(sha256)

    def _objects(self, sha256: str | None = None) -> Iterator[tuple[str, int, str]]:
        """Name, stamp and key of what was put: of one blob, or of all."""
        prefix = f"{self.path(sha256).name}/" if sha256 else None
        with _reaching():
            for batch in obstore.list(self._store, prefix):
                for found in batch:
                    name, _, rest = found["path"].partition("/")
                    if rest and NAME.fullmatch(name):
                        yield name, int(found["last_modified"].timestamp() * 1e9), found["path"]

    def _delete(self, keys: list[str]) -> None:
        with _reaching():
            obstore.delete(self._store, keys)

    def _forget_unused(self) -> None:
        """Now and then, remove from this machine what nobody used here lately."""
        if time.monotonic() < self._forget_at:
            return
        self._forget_at = time.monotonic() + FORGET_EVERY
        for name, stamp in self._here.old().items():
            if time.time_ns() - stamp > UNUSED * 1e9:
                self._here.delete(name, stamp)


@contextmanager
def _reaching() -> Iterator[None]:
    try:
        yield
    except BaseError as error:
        raise BlobsAway(str(error).splitlines()[0]) from error
