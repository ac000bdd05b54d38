"""Members of a zip file, from its directory; nothing is unpacked."""

import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path

from core.data.cells import quote
from core.data.errors import InvalidFile
from core.data.files.values import FileValue, ZipMember
from core.data.readers.archives.names import is_data, require_plain
from core.data.readers.npz import DAMAGE_ERRORS, MAX_RATIOS
from core.data.schema import Limits

ENCRYPTED = 1  # bit of a member's flags


def zip_members(path: Path, limits: Limits) -> Iterator[FileValue]:
    """Yield the files of an archive in its order. Raises `InvalidFile`, naming the member that is wrong."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = [info for info in archive.infolist() if not info.is_dir()]
    except DAMAGE_ERRORS as error:
        raise InvalidFile("the archive is damaged or cut off: make it again") from error
    if len(members) > limits.files:
        raise InvalidFile(f"the archive has {len(members):,} files, more than {limits.files:,}: split it")
    for info in members:
        require_plain(info.filename)
        _check(info, limits)
    if sum(info.file_size for info in members) > limits.files_bytes:
        raise InvalidFile(f"the archive unpacks to more than {limits.files_bytes:,} bytes: split it")
    for info in members:
        if is_data(info.filename):
            deflated = info.compress_type == zipfile.ZIP_DEFLATED
            yield ZipMember(
                path, info.filename, info.header_offset, info.compress_size, info.file_size, info.CRC, deflated
            )


def _check(info: zipfile.ZipInfo, limits: Limits) -> None:
    name = quote(info.filename)
    if stat.S_ISLNK(info.external_attr >> 16):
        raise InvalidFile(f"{name} is a link: put the file itself into the archive")
    if info.flag_bits & ENCRYPTED:
        raise InvalidFile(f"{name} is encrypted: make the archive without a password")
    if info.compress_type not in MAX_RATIOS:
        raise InvalidFile(f"{name} is packed in an unknown way: use deflate, or do not compress")
    if info.file_size > limits.file_bytes:
        raise InvalidFile(f"{name} has {info.file_size:,} bytes, more than {limits.file_bytes:,}: make it smaller")
    if info.file_size > info.compress_size * MAX_RATIOS[info.compress_type]:
        message = f"{name} declares {info.file_size:,} unpacked bytes, more than its packed bytes can hold"
        raise InvalidFile(f"{message}: make the archive again")
