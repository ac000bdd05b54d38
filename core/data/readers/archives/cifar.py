"""Pictures and labels in CIFAR's binary form: records of one or two labels and 3 × 32 × 32 bytes.

CIFAR-10 has one label (`data_batch_1.bin`, …, `test_batch.bin`), CIFAR-100 a coarse and a fine one (`train.bin`,
`test.bin`), of which the fine one is the class. Names of the classes are in a text beside them, if it is there.
"""

import re
from collections.abc import Sequence

import numpy as np

from core.data.cells import quote
from core.data.errors import InvalidFile
from core.data.files.values import FileValue, Pixels
from core.data.schema import Limits

RECORDS = re.compile(r"^(data_batch_\d+|test_batch|train|test)\.bin$")
NAMES = re.compile(r"^(batches\.meta|fine_label_names)\.txt$")
SIDE, CHANNELS = 32, 3
PIXEL_BYTES = CHANNELS * SIDE * SIDE


def is_named_so(name: str) -> bool:
    """Return whether a file has a name of the format."""
    base = name.rpartition("/")[2]
    return bool(RECORDS.match(base) or NAMES.match(base))


def read(members: Sequence[FileValue], _: Limits) -> tuple[list[Pixels], list[str], list[str]]:
    """Return pictures, labels and parts, one for each row. Raises `InvalidFile`."""
    class_names: list[str] = []
    pictures: list[Pixels] = []
    classes: list[int] = []
    parts: list[str] = []
    for member in members:
        base = member.name.rpartition("/")[2]
        if NAMES.match(base):
            class_names = member.read().decode(errors="replace").split()
            continue
        records = _records(member, labels=2 if base in ("train.bin", "test.bin") else 1)
        planes = records[:, -PIXEL_BYTES:].reshape(-1, CHANNELS, SIDE, SIDE)
        pictures += [Pixels(f"{member.name}[{i}]", plane.transpose(1, 2, 0)) for i, plane in enumerate(planes)]
        classes += records[:, -PIXEL_BYTES - 1].tolist()
        parts += ["test" if base.startswith("test") else "train"] * len(records)
    if not pictures:
        raise InvalidFile("the archive has names of CIFAR's classes and no pictures: add them")
    return pictures, [class_names[i] if i < len(class_names) else str(i) for i in classes], parts


def _records(member: FileValue, labels: int) -> "np.ndarray[tuple[int, int], np.dtype[np.uint8]]":
    content = member.read()
    size = labels + PIXEL_BYTES
    if not content or len(content) % size:
        message = f"{quote(member.name)} has {len(content):,} bytes, which are no records of {size}"
        raise InvalidFile(f"{message}: send the file as it was published")
    return np.frombuffer(content, np.uint8).reshape(-1, size)
