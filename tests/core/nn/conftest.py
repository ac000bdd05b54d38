"""What the tests of the core compare with."""

from typing import Any

import pytest

from harness.backends import missing


@pytest.fixture(scope="session")
def torch() -> Any:
    """PyTorch, if it is there."""
    try:
        import torch  # noqa: PLC0415  a reference only, outside the lock
    except ImportError as error:
        missing("torch", error)
    return torch
