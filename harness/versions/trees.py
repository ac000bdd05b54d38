"""Source trees of other versions, in folders of their own."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from harness.processes import ROOT

VERSION_BEFORE = "38f9163d38a7beafb641223ccce6301894a91203"
"""The last commit of the version before this one. A new version changes it here."""

PACKAGES = ("api", "chainrule", "core", "harness", "migrations", "worker")
OLDER_VERSION = "0.0.1"
MISSING_LAYER = "swiglu"
"""A layer that the older copy does not know."""
OTHER_ACTIVATION = "gelu"
"""An activation that the older copy computes with other numbers."""
EDITS = (
    ("core/__init__.py", r'^VERSION = ".*"', f'VERSION = "{OLDER_VERSION}"'),
    ("core/versions.py", r"^VOCABULARY = \d+", "VOCABULARY = 0"),
    ("core/versions.py", r"^ARITHMETIC = \d+", "ARITHMETIC = 0"),
    ("core/nn/layers/gating.py", r"^Gating: TypeAlias = Glu \| SwiGlu$", "Gating: TypeAlias = Glu"),
    ("core/nn/activations.py", r"np\.multiply\(block, cdf\[used\], ", "np.multiply(block, cdf[used] * 1.000001, "),
)
"""What makes a copy of this tree older: file, pattern, replacement."""


class NoHistory(Exception):
    """This clone does not have commit {commit}: fetch the history, for example with `git fetch --unshallow`."""

    def __init__(self, commit: str) -> None:
        super().__init__((self.__doc__ or "").format(commit=commit))


@dataclass(frozen=True)
class Numbers:
    """The numbers of a tree's version, as `core.versions` states them."""

    vocabulary: int
    arithmetic: int


def version_before(folder: Path) -> Path:
    """Write the tree of the version before this one into the folder, and return it.

    Raises
    ------
    NoHistory
        If there is no git, no repository, or the clone is shallow.
    """
    git = shutil.which("git")
    command = [git or "git", "-C", str(ROOT), "archive", "--format=tar", VERSION_BEFORE, "--", *PACKAGES]
    archive = subprocess.run(command, capture_output=True, check=False) if git else None
    if archive is None or archive.returncode:
        raise NoHistory(VERSION_BEFORE)
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
    return folder


def older_copy(folder: Path) -> Path:
    """Copy this tree into the folder, make it older, and return it."""
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name, pattern, replacement in EDITS:
        file = folder / name
        text, count = re.subn(pattern, replacement, file.read_text(encoding="utf-8"), flags=re.MULTILINE)
        assert count == 1, f"{pattern} is {count} times in {name}: correct EDITS"
        file.write_text(text, encoding="utf-8")
    return folder


def numbers(tree: Path) -> Numbers:
    """Return the numbers of a tree.

    Version 0.1.0 had none. It counts as vocabulary 0, and as arithmetic 1: it computes what 0.2.0 computes.
    """
    file = tree / "core" / "versions.py"
    if not file.exists():
        return Numbers(0, 1)
    found = dict(re.findall(r"^(VOCABULARY|ARITHMETIC) = (\d+)", file.read_text(encoding="utf-8"), re.MULTILINE))
    return Numbers(int(found["VOCABULARY"]), int(found["ARITHMETIC"]))
