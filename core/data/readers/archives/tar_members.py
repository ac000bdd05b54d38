"""Members of a tar file, plain or compressed by gzip."""

import tarfile
import zlib
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from core.data.cells import quote
from core.data.errors import InvalidFile
from core.data.files.values import FileValue, HeldFile, PlainMember
from core.data.readers.archives.names import is_data, require_plain
from core.data.schema import Limits

GZIP = b"\x1f\x8b"
HEADER_BYTES = 512
SIGNATURE, SIGNATURE_OFFSET = b"ustar", 257
DAMAGE_ERRORS = (tarfile.TarError, zlib.error, EOFError, OSError, ValueError, OverflowError)


def is_tar(head: bytes) -> bool:
    """Return whether a file with these first bytes is a tar file, compressed or not."""
    if head.startswith(GZIP):
        try:
            head = zlib.decompressobj(16 + zlib.MAX_WBITS).decompress(head, HEADER_BYTES)
        except zlib.error:
            return False
    return head[SIGNATURE_OFFSET:].startswith(SIGNATURE)


def tar_members(path: Path, limits: Limits) -> Iterator[FileValue]:
    """Yield the files of an archive in its order. Raises `InvalidFile`, naming the member that is wrong.

    Those of a compressed archive are held in memory, since there is no way to a file but through all before it.
    """
    with path.open("rb") as file:
        compressed = file.read(len(GZIP)) == GZIP
    try:
        with tarfile.open(path, "r|gz" if compressed else "r:") as archive:
            yield from _members(path, archive, limits, compressed)
    except DAMAGE_ERRORS as error:
        raise InvalidFile("the archive is damaged or cut off: make it again") from error


def _members(path: Path, archive: tarfile.TarFile, limits: Limits, compressed: bool) -> Iterator[FileValue]:
    unpacked = 0
    for number in count(1):
        info = archive.next()
        if info is None:
            return
        archive.members = []  # type: ignore[attr-defined]  # it would keep them all
        if number > limits.files:
            raise InvalidFile(f"the archive has more than {limits.files:,} files: split it")
        require_plain(info.name)
        if info.isdir():
            continue
        _check(info, limits)
        unpacked += info.size
        if unpacked > limits.files_bytes:
            raise InvalidFile(f"the archive unpacks to more than {limits.files_bytes:,} bytes: split it")
        if is_data(info.name):
            yield _held(archive, info) if compressed else PlainMember(path, info.name, info.offset_data, info.size)


def _check(info: tarfile.TarInfo, limits: Limits) -> None:
    name = quote(info.name)
    if info.issym() or info.islnk():
        raise InvalidFile(f"{name} is a link: put the file itself into the archive")
    if not info.isreg() or info.issparse():
        raise InvalidFile(f"{name} is no plain file: leave devices, pipes and sparse files out of the archive")
    if info.size > limits.file_bytes:
        raise InvalidFile(f"{name} has {info.size:,} bytes, more than {limits.file_bytes:,}: make it smaller")


def _held(archive: tarfile.TarFile, info: tarfile.TarInfo) -> HeldFile:
    file = archive.extractfile(info)
    content = b"" if file is None else file.read()
    if len(content) != info.size:
        raise InvalidFile(f"{quote(info.name)} is cut off: make the archive again")
    return HeldFile(info.name, content)
