"""Uploads that arrive in several requests: of each, a file of the bytes so far and a JSON file that describes it.

The size of the first file is the offset at which the next part begins, so an interrupted request or process loses
nothing that reached the disk. The lock of that file excludes other writers, on this machine or on a shared folder.
"""

import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from io import FileIO
from pathlib import Path

from core.blobs.errors import NoSuchUpload, PartialUploadsFull, UploadBusy, UploadTooLong, WrongOffset
from core.blobs.writer import PART_SUFFIX
from core.ids import is_id, new_id
from core.settings import variable

ID_PREFIX = "upl"
DESCRIPTION_SUFFIX = ".json"


@dataclass(frozen=True)
class PartialLimits:
    """How many unfinished uploads there may be, of how many bytes together, and for how many seconds without a part."""

    count: int
    bytes: int
    seconds: float


@dataclass(frozen=True)
class PartialUpload:
    """An upload that arrives in parts."""

    id: str
    owner: str
    length: int
    """Declared size in bytes."""
    metadata: Mapping[str, str]
    """What the client said about the file. Labels only; none becomes a path."""
    offset: int = 0
    """Bytes received."""
    expires_at: float = 0.0
    """Unix time at which it is deleted if no further part arrives."""
    sha256: str | None = None
    """The blob that the bytes became; the file of the parts is empty then."""

    @property
    def complete(self) -> bool:
        """Whether all bytes were received."""
        return self.offset == self.length


class PartWriter:
    """Appends one part to an upload, which it locks until `close`."""

    def __init__(self, upload: PartialUpload, file: FileIO) -> None:
        self._upload = upload
        self._file = file
        self._size = upload.offset

    def write(self, data: bytes) -> None:
        """Append bytes. After an error nothing of this part is stored.

        Raises
        ------
        UploadTooLong
            If the upload would exceed its declared length.
        OSError
            If the disk refuses the bytes.
        """
        self._size += len(data)
        try:
            if self._size > self._upload.length:
                raise UploadTooLong(self._upload.id, self._upload.length)
            rest = memoryview(data)
            while rest:
                rest = rest[self._file.write(rest) :]
        except (UploadTooLong, OSError):
            stored = os.fstat(self._file.fileno()).st_size  # none of an upload that became a blob
            os.ftruncate(self._file.fileno(), min(stored, self._upload.offset))
            raise

    def close(self) -> None:
        """Sync what was written to disk, and unlock the upload."""
        with self._file:
            os.fsync(self._file.fileno())


class PartialUploads:
    """The uploads in one folder, which is made at the first use.

    Every method with an `owner` raises `NoSuchUpload` for an upload of another one; None stands for all owners.
    """

    def __init__(self, root: Path, limits: PartialLimits) -> None:
        self.root = root
        self.limits = limits

    def create(self, owner: str, length: int, metadata: Mapping[str, str]) -> PartialUpload:
        """Create an upload of a declared length. Raises `PartialUploadsFull`."""
        with self._folder_locked():
            self._remove_expired()
            unfinished = [upload for upload in self._uploads() if upload.sha256 is None]
            declared = sum(upload.length for upload in unfinished)
            _require_room(len(unfinished), 1, self.limits.count, "places", "max_partial_uploads")
            _require_room(declared, length, self.limits.bytes, "bytes", "max_partial_upload_bytes")
            upload = PartialUpload(new_id(ID_PREFIX), owner, length, metadata)
            self.path(upload.id).touch(exist_ok=False)
            self._describe(upload)
        return self.get(upload.id, owner)

    def get(self, upload_id: str, owner: str | None) -> PartialUpload:
        """Return an upload. Raises `NoSuchUpload`."""
        upload = self._read(upload_id) if is_id(ID_PREFIX, upload_id) else None
        if upload is None or owner not in (None, upload.owner) or upload.expires_at < time.time():
            raise NoSuchUpload(upload_id)
        return upload

    def newest(self, owner: str | None) -> str | None:
        """Return the id of the newest upload, if there is one."""
        ids = (upload.id for upload in self._uploads() if owner in (None, upload.owner))
        return max(ids, default=None)

    def path(self, upload_id: str) -> Path:
        """Return the file of the bytes received."""
        return self.root / f"{upload_id}{PART_SUFFIX}"

    def open_part(self, upload_id: str, owner: str | None, offset: int) -> PartWriter:
        """Lock an upload and return the writer of a part at this offset. Raises `UploadBusy`, `WrongOffset`."""
        file = self._locked(self.get(upload_id, owner).id)
        try:
            upload = self.get(upload_id, owner)  # again, as another part may have ended meanwhile
            if offset != upload.offset:
                raise WrongOffset(upload_id, upload.offset, offset)
            file.seek(offset)
            os.utime(self._description(upload_id))
        except BaseException:
            file.close()
            raise
        return PartWriter(upload, file)

    def finish(self, upload_id: str, owner: str | None, sha256: str) -> None:
        """Record which blob the bytes became, and free theirs. Raises `NoSuchUpload`, `UploadBusy`."""
        upload = self.get(upload_id, owner)
        with self._locked(upload_id) as file:
            self._describe(replace(upload, sha256=sha256))
            os.ftruncate(file.fileno(), 0)

    def delete(self, upload_id: str, owner: str | None) -> None:
        """Delete an upload. Raises `NoSuchUpload`, `UploadBusy`."""
        self._remove(self.get(upload_id, owner).id)

    def remove_expired(self) -> None:
        """Delete the uploads to which no part was added for too long."""
        if self.root.is_dir():
            with self._folder_locked():
                self._remove_expired()

    def _remove_expired(self) -> None:
        oldest = time.time() - self.limits.seconds
        for path in sorted(self.root.glob(f"{ID_PREFIX}_*")):
            with suppress(FileNotFoundError, NoSuchUpload, UploadBusy):
                described = self._description(path.stem)
                if (described if described.exists() else path).stat().st_mtime < oldest:
                    self._remove(path.stem)

    def _remove(self, upload_id: str) -> None:
        description = self._description(upload_id)
        with self._locked(upload_id) as file:
            for path in (description.with_suffix(".new"), description, Path(file.name)):  # the locked file last
                path.unlink(missing_ok=True)

    def _description(self, upload_id: str) -> Path:
        return self.root / f"{upload_id}{DESCRIPTION_SUFFIX}"

    def _describe(self, upload: PartialUpload) -> None:
        """Write the description durably: all of it or nothing."""
        path = self._description(upload.id)
        temporary = path.with_suffix(".new")
        with temporary.open("w") as file:
            json.dump(asdict(upload), file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        folder = os.open(self.root, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _read(self, upload_id: str) -> PartialUpload | None:
        path = self._description(upload_id)
        try:
            upload = PartialUpload(**json.loads(path.read_bytes()))
            offset = upload.length if upload.sha256 else self.path(upload_id).stat().st_size
            return replace(upload, offset=offset, expires_at=path.stat().st_mtime + self.limits.seconds)
        except FileNotFoundError:
            return None

    def _uploads(self) -> Iterator[PartialUpload]:
        for path in self.root.glob(f"*{DESCRIPTION_SUFFIX}"):
            if upload := self._read(path.stem):
                yield upload

    def _locked(self, upload_id: str) -> FileIO:
        """Open the file of the bytes and lock it until it is closed."""
        try:
            file = self.path(upload_id).open("r+b", buffering=0)
        except FileNotFoundError:
            raise NoSuchUpload(upload_id) from None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(file.fileno()).st_nlink == 0:  # deleted between the two calls
                raise NoSuchUpload(upload_id)
        except BlockingIOError:
            file.close()
            raise UploadBusy(upload_id) from None
        except NoSuchUpload:
            file.close()
            raise
        return file

    @contextmanager
    def _folder_locked(self) -> Iterator[None]:
        """Exclude other processes that count, create or remove uploads."""
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / ".lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _require_room(used: int, added: int, limit: int, unit: str, setting: str) -> None:
    if used + added > limit:
        raise PartialUploadsFull(used, added, limit, unit, variable(setting))
