"""Every spec in `docs/examples` is short and trains unchanged; every body of the documentation fits the document."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api import contract
from tests.api.conftest import Api

ROOT = Path(__file__).parents[3]
EXAMPLES = sorted((ROOT / "docs" / "examples").glob("*.json"))
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
CURL = re.compile(
    r"curl[^\n]*?127\.0\.0\.1:\d+(?P<path>/v1/[^\s'?]*)(?:[^\n]*\n)??[^\n]*?-d '(?P<body>\{[^']*\})'", re.DOTALL
)
SPEC = re.compile(r"^```json\n(?P<body>\{.*?^\})$", re.DOTALL | re.MULTILINE)
ARCHITECTURES = {"gpt", "mlp_mixer", "resnet", "transformer", "unet", "wavenet"}


def test_docs_have_an_example_of_each_architecture() -> None:
    assert {example.stem for example in EXAMPLES} == ARCHITECTURES


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_docs_example_trains(api: Api, example: Path) -> None:
    text = example.read_text()
    assert text.count("\n") < 40
    posted = api.post(**json.loads(text))
    api.train()
    job = api.job(posted["id"])
    assert job["status"] == "succeeded", job["error"]
    rows = api.client.get(f"/v1/jobs/{posted['id']}/metrics", params={"name": "loss", "limit": 1000}).json()["items"]
    assert rows[-1]["value"] < rows[0]["value"] / 2


def bodies() -> Iterator[tuple[str, str, str]]:
    """Yield page, path and body of each JSON body in the documentation."""
    for page in PAGES:
        text, name = page.read_text(), page.relative_to(ROOT).as_posix()
        for found in CURL.finditer(text):
            yield name, found["path"], found["body"]
        for found in SPEC.finditer(text):
            if '"architecture"' in found["body"] and '"data"' in found["body"]:
                yield name, "/v1/jobs", found["body"]


@pytest.mark.parametrize(("page", "path", "body"), [*bodies()])
def test_body_in_the_documentation_fits_the_document(page: str, path: str, body: str) -> None:
    operation = contract.operation_of("POST", path)
    assert operation, path
    contract.check_body(operation, body.encode(), page)


def test_bodies_of_the_documentation_are_found() -> None:
    found = [(page, path) for page, path, _ in bodies()]
    assert ("README.md", "/v1/jobs") in found
    assert len(found) >= 4, found
