"""Sections of documentation pages that a run writes."""

from pathlib import Path

import pytest

from harness.pages import NoSuchSection, replace_section


def test_replace_section_keeps_the_rest_of_the_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Page\n\n<!-- a -->\nold\n<!-- /a -->\n\nText\n<!-- b -->\nkept\n<!-- /b -->\n")
    replace_section(page, "a", "new \\1\nlines\n")
    replace_section(page, "a", "newer \\1\nlines\n")
    assert (
        page.read_text()
        == "# Page\n\n<!-- a -->\n\nnewer \\1\nlines\n\n<!-- /a -->\n\nText\n<!-- b -->\nkept\n<!-- /b -->\n"
    )


def test_replace_section_refuses_a_page_without_the_section(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- a -->\n")
    with pytest.raises(NoSuchSection, match="'a'"):
        replace_section(page, "a", "new")
    assert page.read_text() == "<!-- a -->\n"
