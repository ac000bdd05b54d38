"""Tests of core/data/readers/archives/names.py."""

from typing import Any

import pytest

from core.data.readers.archives.names import folders_of, is_data, suffix_of


@pytest.mark.parametrize(
    ("names", "labels", "parts"),
    [
        (["a.png"], None, None),
        (["x/y/a/1.png", "x/y/b/2.png"], ["a", "b"], None),
        (["a/1.png", "2.png"], ["a", ""], None),
        (["a/deep/1.png", "a/2.png"], ["deep", ""], None),
        (["a/x/1.png", "b/y/2.png"], ["a", "b"], None),
        (["train/1.png", "test/2.png"], None, ["train", "test"]),
        (["train/a/1.png", "val/a/2.png", "Testing/b/3.png"], ["a", "a", "b"], ["train", "validation", "test"]),
        (["train/a/1.png", "other/a/2.png"], ["train", "other"], None),
    ],
)
def test_folders_of(names: list[str], labels: Any, parts: Any) -> None:
    assert folders_of(names) == (labels, parts)


@pytest.mark.parametrize("name", [".git/a.png", "a/.hidden", "__MACOSX/a.png", "a/Thumbs.db"])
def test_what_systems_leave_is_no_data(name: str) -> None:
    assert not is_data(name)
    assert is_data("a.b/c.png")


def test_suffix_of() -> None:
    assert suffix_of("a.b/C.PNG") == ".png"
    assert suffix_of("a.b/c") == ""
