"""The page of all members is what the code says."""

from typing import Annotated, Any, Literal

import pytest
from annotated_types import Ge, Gt, Le, Len, Lt, MaxLen, MinLen

from core.nn.activations import Activation
from core.nn.tagged_union import members
from core.reference import KINDS, page, taken
from harness.processes import ROOT
from tests.core.nn.test_tagged_union import TABLES

PAGE = ROOT / "docs" / "members.md"

TAKEN: list[tuple[Any, str]] = [
    (bool, "true or false"),
    (Annotated[int, Ge(1), Le(9)], "integer ≥ 1 and ≤ 9"),
    (Annotated[float, Gt(0), Lt(1)] | None, "number > 0 and < 1 or null"),
    (Literal["valid", "same"], '`"valid"` or `"same"`'),
    (tuple[int, Annotated[int, Ge(0)]], "[integer, integer ≥ 0]"),
    (Annotated[tuple[int, ...], Len(1, 8)], "list of integer; 1 to 8 of them"),
    (Annotated[tuple[float, ...], MinLen(2)], "list of number; at least 2 of them"),
    (Annotated[tuple[str, ...], MaxLen(3)], "list of text; at most 3 of them"),
    (Activation, "[activation](#activations)"),
]


@pytest.mark.parametrize(("hint", "words"), TAKEN)
def test_an_annotation_reads_as_what_it_takes(hint: Any, words: str) -> None:
    assert taken(hint) == words


def test_the_page_is_what_the_code_says() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), (
        "a member has changed: run `make docs` and commit docs/members.md"
    )


def test_every_kind_is_on_the_page() -> None:
    assert [kind.union for kind in KINDS] == [union for union, _ in TABLES]
    for kind in KINDS:
        for word in members(kind.union):
            assert f"\n### `{word}`\n" in page()
