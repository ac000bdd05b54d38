"""Pictures and labels in IDX files, the format of MNIST: a big-endian header, then bytes.

Files of pictures and of labels have names that differ by these words, `train-images-idx3-ubyte` and
`train-labels-idx1-ubyte`, and may be compressed by gzip.
"""

import math
import re
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.data.cells import quote
from core.data.errors import InvalidFile
from core.data.files.values import FileValue, Pixels
from core.data.schema import Limits

NAME = re.compile(r"(^|[-_.])idx[1-4]?([-_]ubyte)?(\.gz)?$", re.IGNORECASE)
UNSIGNED_BYTES = 0x08
GZIP = b"\x1f\x8b"


def is_named_so(name: str) -> bool:
    """Return whether a file has a name of the format."""
    return bool(NAME.search(name.rpartition("/")[2]))


def read(members: Sequence[FileValue], limits: Limits) -> tuple[list[Pixels], list[str], list[str]]:
    """Return pictures, labels and parts, one for each row. Raises `InvalidFile`."""
    arrays = {member.name: _array(member, limits) for member in members}
    labels = {_key(name): array for name, array in arrays.items() if array.ndim == 1}
    pictures: list[Pixels] = []
    classes: list[str] = []
    parts: list[str] = []
    for name, array in arrays.items():
        if array.ndim == 1:
            continue
        of_part = labels.get(_key(name))
        if of_part is None or len(of_part) != len(array):
            found = "has none" if of_part is None else f"has {len(of_part)} for {len(array)} pictures"
            raise InvalidFile(f"{quote(name)} needs a file of labels, and the archive {found}: add it")
        pictures += [Pixels(f"{name}[{row}]", picture) for row, picture in enumerate(array)]
        classes += map(str, of_part.tolist())
        parts += [_part(name)] * len(array)
    if not pictures:
        raise InvalidFile("the archive has IDX files of labels and none of pictures: add them")
    return pictures, classes, parts


def _key(name: str) -> str:
    """Return what the names of pictures and of their labels share."""
    return re.sub(r"images?|labels?|idx[1-4]?|\.gz$|[-_.]", "", name.rpartition("/")[2], flags=re.IGNORECASE)


def _part(name: str) -> str:
    return "test" if re.search(r"t10k|test", name.rpartition("/")[2], re.IGNORECASE) else "train"


def _array(member: FileValue, limits: Limits) -> NDArray[Any]:
    content = _unpacked(member, limits)
    name = quote(member.name)
    if len(content) < 4 or content[:2] != b"\0\0":
        raise InvalidFile(f"{name} is not in the IDX format: it must begin with two zero bytes")
    value_type, axes = content[2], content[3]
    start = 4 + 4 * axes
    if value_type != UNSIGNED_BYTES or axes not in (1, 3, 4) or len(content) < start:
        raise InvalidFile(f"{name} has values of type {value_type} in {axes} axes: give bytes in 1, 3 or 4 axes")
    shape = tuple(np.frombuffer(content, ">u4", axes, 4).tolist())
    if math.prod(shape) != len(content) - start or not math.prod(shape) or (axes == 4 and shape[3] not in (1, 3)):
        raise InvalidFile(f"{name} has {len(content) - start:,} bytes of values, and its header says {shape}: save it")
    array = np.frombuffer(content, np.uint8, offset=start).reshape(shape)
    return array[..., 0] if axes == 4 and shape[3] == 1 else array


def _unpacked(member: FileValue, limits: Limits) -> bytes:
    content = member.read()
    if not content.startswith(GZIP):
        return content
    unpack = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        unpacked = unpack.decompress(content, limits.file_bytes + 1)
    except zlib.error as error:
        raise InvalidFile(f"{quote(member.name)} is damaged ({error}): make it again") from None
    if len(unpacked) > limits.file_bytes:
        raise InvalidFile(f"{quote(member.name)} unpacks to more than {limits.file_bytes:,} bytes: split it")
    if not unpack.eof:
        raise InvalidFile(f"{quote(member.name)} is cut off: make it again")
    return unpacked
