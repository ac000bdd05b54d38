"""Every spec in `docs/examples` is short and trains unchanged."""

import json
from pathlib import Path

import pytest

from tests.api.conftest import Api

EXAMPLES = sorted((Path(__file__).parents[3] / "docs" / "examples").glob("*.json"))
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
