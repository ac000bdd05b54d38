"""The documentation: links lead somewhere, pages are short, the README leads to every page, retired words stay out."""

import re
import subprocess
from pathlib import Path

import pytest

from core.jobs.warnings import WARNINGS
from harness.processes import ROOT

MAX_README_LINES = 120
MAX_PAGE_LINES = 300
GENERATED = "docs/reference/"
LINK = re.compile(r"\]\(([^)\s]+)\)|(?:src|href)=\"([^\"]+)\"")
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


RETIRED = re.compile(
    r"\b(anew|borne|desk|postbox|wish(?:es|ed)?|pulse|whoever|somebody|the like|there and back|"
    r"go(?:es)? on from|gone on (?:with|from)|stands? still|helpers?)\b",
    re.IGNORECASE,
)
"""Words of earlier prose for which the field has a term; docs/concepts.md has the terms."""


def tracked(*patterns: str) -> list[str]:
    """Return the tracked files that match, as paths from the root."""
    listed = subprocess.run(["git", "ls-files", "--", *patterns], cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in listed.stdout.splitlines() if "/vendor/" not in name and (ROOT / name).exists()]


PAGES = tracked("*.md")


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files_and_headings(page: str) -> None:
    text = FENCED.sub("", (ROOT / page).read_text(encoding="utf-8"))
    for found in LINK.finditer(text):
        target, _, heading = (found[1] or found[2]).partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        file = (ROOT / page).parent / target if target else ROOT / page
        assert file.exists(), f"{page} links to {target}, which does not exist"
        if heading:
            assert heading in anchors(file), f"{page} links to #{heading}, which {file.name} does not have"


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub derives them."""
    headings = re.findall(r"^#+ (.*)$", FENCED.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [page for page in PAGES if not page.startswith(GENERATED)])
def test_pages_are_short(page: str) -> None:
    lines = (ROOT / page).read_text(encoding="utf-8").count("\n")
    assert lines <= (MAX_README_LINES if page == "README.md" else MAX_PAGE_LINES)


def test_every_page_is_reached_from_the_readme() -> None:
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        reached.add(page)
        for found in LINK.finditer(FENCED.sub("", page.read_text(encoding="utf-8"))):
            target = (page.parent / (found[1] or found[2]).partition("#")[0]).resolve()
            pages = sorted(target.glob("*.md")) if target.is_dir() else [target]
            waiting += [
                one for one in pages if one.suffix == ".md" and one.exists() and one not in {*reached, *waiting}
            ]
    assert {ROOT / page for page in PAGES if page.startswith("docs/")} <= reached


def test_every_warning_has_a_line_in_the_guide() -> None:
    sources = "".join((ROOT / name).read_text(encoding="utf-8") for name in tracked("core/*.py", "worker/*.py"))
    codes = {*re.findall(r"WarningMessage\(\s*\"(\w+)\"", sources), *WARNINGS}
    listed = set(
        re.findall(r"^\| `(\w+)` \|", (ROOT / "docs/guides/warnings.md").read_text(encoding="utf-8"), re.MULTILINE)
    )
    assert codes == listed


@pytest.mark.parametrize("name", tracked("*.md", "*.py", "*.js", "*.html", "Makefile", "*.yml", "Dockerfile"))
def test_no_retired_word(name: str) -> None:
    if name == "tests/test_docs.py":
        return
    text = (ROOT / name).read_text(encoding="utf-8")
    found = [f"line {text[: one.start()].count(chr(10)) + 1}: {one[0]}" for one in RETIRED.finditer(text)]
    assert not found, f"{found[:5]}: docs/concepts.md has the terms"
