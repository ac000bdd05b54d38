"""A disk of a few megabytes for one test, and functions that fill and free it."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from harness.backends import skip_or_fail

FILLER = "filler"


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[None]:
    """Mount a file system in memory at this folder; skip the test if this user may not mount."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        skip_or_fail("mount", error)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def make_read_only(folder: Path) -> None:
    """Let the disk of this folder refuse every write, as after an error of its hardware."""
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)


def fill(folder: Path) -> None:
    """Fill the disk of this folder to its last byte."""
    with (folder / FILLER).open("ab", buffering=0) as filler:
        for size in (2**16, 2**9, 1):
            with suppress(OSError):
                while filler.write(bytes(size)) == size:
                    pass


def free(folder: Path) -> None:
    """Remove the file that `fill` wrote."""
    (folder / FILLER).unlink()
