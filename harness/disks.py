"""A disk of a few megabytes for one test, which can be filled to its last byte."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from harness.backends import missing

FILLER = "filler"


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[None]:
    """A file system of its own at this folder; skipped where none may be mounted."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        missing("mount", error)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> None:
    """Leave no byte on the disk of this folder."""
    with (folder / FILLER).open("ab", buffering=0) as filler:
        for size in (2**16, 2**9, 1):
            with suppress(OSError):
                while filler.write(bytes(size)) == size:
                    pass


def free(folder: Path) -> None:
    """Give back what `fill` took."""
    (folder / FILLER).unlink()
