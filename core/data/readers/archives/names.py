"""Names of files in an archive: which are refused, which are no data, and what their folders say.

Names are never used as paths. Those that would lead out of a folder are refused all the same: they are either an attack
or a mistake.
"""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

from core.data.cells import quote
from core.data.errors import InvalidFile

MAX_NAME_LENGTH = 1024
DRIVE = re.compile(r"^[A-Za-z]:")
NOT_DATA = re.compile(r"(^|/)(\.[^/]*|__MACOSX|Thumbs\.db|desktop\.ini)(/|$)")
"""What systems and programs leave in folders."""

PARTS = {
    "train": "train",
    "training": "train",
    "valid": "validation",
    "val": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}
"""Names of folders that are parts of a dataset."""


def require_plain(name: str) -> None:
    """Raise `InvalidFile` for a name that leads out of the archive, or that cannot be shown."""
    outside = name.startswith(("/", "\\")) or DRIVE.match(name) or ".." in re.split(r"[/\\]", name)
    if outside:
        raise InvalidFile(f"the archive has {quote(name)}, which leads out of it: use names inside the archive")
    if len(name) > MAX_NAME_LENGTH or not name.isprintable():
        message = f"the archive has the name {quote(name)}, which is too long or cannot be shown"
        raise InvalidFile(f"{message}: use at most {MAX_NAME_LENGTH} printable characters")


def is_data(name: str) -> bool:
    """Return whether a file may be data, and is none of those that systems leave in folders."""
    return not NOT_DATA.search(name)


def suffix_of(name: str) -> str:
    """Return the suffix in lower case with its dot."""
    return PurePosixPath(name).suffix.lower()


class Folders(NamedTuple):
    """What the folders of files say, a text for each file, empty where nothing; None where they say it of no file."""

    labels: list[str] | None
    parts: list[str] | None


def folders_of(names: Sequence[str]) -> Folders:
    """Return the class and the part of each file: `data/train/cat/1.png` is of class `cat` and of part `train`.

    Folders that all files share are left out, as long as others are below them.
    """
    folders = [name.split("/")[:-1] for name in names]
    while _is_shared(folders):
        folders = [path[1:] for path in folders]
    parts = None
    if all(path and path[0].lower() in PARTS for path in folders):
        parts = [PARTS[path[0].lower()] for path in folders]
        folders = [path[1:] for path in folders]
    labels = [path[0] if path else "" for path in folders]
    return Folders(labels if any(labels) else None, parts)


def _is_shared(folders: list[list[str]]) -> bool:
    first = folders[0][:1]
    return bool(first) and all(path[:1] == first for path in folders) and any(len(path) > 1 for path in folders)
