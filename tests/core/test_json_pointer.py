"""Tests of core/json_pointer.py."""

import pytest

from core.json_pointer import pointer


@pytest.mark.parametrize(
    ("steps", "expected"),
    [((), ""), (("a", 0), "/a/0"), (("a/b", 0, "~"), "/a~1b/0/~0"), (("~1",), "/~01"), (("",), "/")],
)
def test_pointer_escapes_each_step(steps: tuple[str | int, ...], expected: str) -> None:
    assert pointer(*steps) == expected
