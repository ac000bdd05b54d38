"""The reference pages."""

from typing import Annotated, Any, Literal

import pytest
from annotated_types import Ge, Gt, Le, Len, Lt, MaxLen, MinLen

from chainrule.reference import KINDS, accepted_values, pages, write
from core.nn.activations import Activation
from core.nn.constraints import Constraint
from core.nn.tagged_union import members
from harness.processes import ROOT
from tests.core.nn.test_tagged_union import TABLES

FOLDER = ROOT / "docs" / "reference"
PAGES = pages()

ACCEPTED: list[tuple[Any, str]] = [
    (bool, "true or false"),
    (Annotated[int, Ge(1), Le(9)], "integer ≥ 1 and ≤ 9"),
    (Annotated[float, Gt(0), Lt(1)] | None, "number > 0 and < 1 or null"),
    (Literal["valid", "same"], '`"valid"` or `"same"`'),
    (tuple[int, Annotated[int, Ge(0)]], "[integer, integer ≥ 0]"),
    (Annotated[tuple[int, ...], Len(1, 8)], "list of integer; 1 to 8 of them"),
    (Annotated[tuple[float, ...], MinLen(2)], "list of number; at least 2 of them"),
    (Annotated[tuple[str, ...], MaxLen(3)], "list of text; at most 3 of them"),
    (Activation, "[activation](activations.md)"),
    (Constraint, "[constraint](regularizers.md#constraints)"),
]


@pytest.mark.parametrize(("hint", "text"), ACCEPTED)
def test_accepted_values_describes_each_form_of_annotation(hint: Any, text: str) -> None:
    assert accepted_values(hint) == text


def test_committed_pages_are_those_of_the_folder() -> None:
    assert {path.name for path in FOLDER.glob("*.md")} == PAGES.keys()


@pytest.mark.parametrize("name", PAGES)
def test_committed_page_equals_the_generated_one(name: str) -> None:
    text = (FOLDER / name).read_text(encoding="utf-8")
    assert text == PAGES[name], f"the code has changed: run `make docs` and commit docs/reference/{name}"


def test_every_member_of_every_kind_has_a_heading() -> None:
    assert [kind.union for kind in KINDS] == [union for union, _ in TABLES]
    for kind in KINDS:
        for name in members(kind.union):
            assert f"# `{name}`\n" in PAGES[f"{kind.page}.md"]


def test_write_writes_every_page(tmp_path: Any) -> None:
    write(tmp_path)
    assert {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()} == PAGES
