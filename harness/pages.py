"""Sections of documentation pages that a run writes: the text between two marks is replaced, all else stays."""

import re
from pathlib import Path


class NoSuchSection(LookupError):
    """The page has no pair of marks with this name."""


def replace_section(page: Path, name: str, text: str) -> None:
    """Replace what stands between `<!-- name -->` and `<!-- /name -->`.

    Raises
    ------
    NoSuchSection
        The page lacks one of the marks.
    """
    before = page.read_text(encoding="utf-8")
    marked = re.compile(rf"(<!-- {re.escape(name)} -->\n).*?(<!-- /{re.escape(name)} -->)", re.DOTALL)
    after, found = marked.subn(lambda match: f"{match[1]}\n{text.strip()}\n\n{match[2]}", before, count=1)
    if not found:
        raise NoSuchSection(f"{page} has no section {name!r}")
    page.write_text(after, encoding="utf-8")
