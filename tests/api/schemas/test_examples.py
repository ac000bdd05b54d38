"""Every example in the docs is short, and trains as it stands."""

import json
from pathlib import Path

import pytest

from tests.api.conftest import Api

EXAMPLES = sorted((Path(__file__).parents[3] / "docs" / "examples").glob("*.json"))
KINDS = {"gpt", "mlp_mixer", "resnet", "transformer", "unet", "wavenet"}


def test_all_kinds_of_nets_are_there() -> None:
    assert {example.stem for example in EXAMPLES} == KINDS


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_trains(api: Api, example: Path) -> None:
    text = example.read_text()
    assert text.count("\n") < 40
    posted = api.post(**json.loads(text))
    api.train()
    job = api.job(posted["id"])
    assert job["status"] == "succeeded", job["error"]
    rows = api.client.get(f"/v1/jobs/{posted['id']}/metrics", params={"name": "loss", "limit": 1000}).json()["items"]
    assert rows[-1]["value"] < rows[0]["value"] / 2
