"""What tasks are compared with, or made by: where it is missing, their rows say so."""

import shutil
from importlib import import_module
from typing import Any

from benchmarks.outcome import Missing


def sklearn(module: str) -> Any:
    """A module of scikit-learn."""
    try:
        return import_module(f"sklearn.{module}")
    except ImportError as error:
        raise Missing("sklearn", error) from None


def espeak() -> str:
    """Where espeak-ng is."""
    if found := shutil.which("espeak-ng"):
        return found
    raise Missing("espeak-ng", "install Debian's espeak-ng")
