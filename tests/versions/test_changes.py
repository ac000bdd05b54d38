"""Changes of the vocabulary or the arithmetic are declared in `core.versions`."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from core.versions import ARITHMETIC, VOCABULARY
from harness.processes import ROOT
from harness.versions.member_runs import Runs, run_in, vocabulary
from harness.versions.trees import MISSING_LAYER, OTHER_ACTIVATION, numbers
from tests.api.end_to_end.test_every_member_trains import EVERY, a_small_spec, dense, member_of
from tests.core.nn.test_nets import MIXER, RESNET, UNET, WAVENET

STATED = Path(__file__).parent / "vocabulary.json"
"""The number of the vocabulary, and a digest of each of its definitions."""

OPTIONS: dict[str, dict[str, Any]] = {
    "shuffled": {"shuffle": True, "epochs": 3},
    "mixup": {"mixup": {"alpha": 0.4}},
    "early stopping": {"epochs": 9, "early_stopping": {"monitor": "loss", "patience": 1, "restore_best_weights": True}},
    "plateau": {"epochs": 9, "reduce_lr_on_plateau": {"monitor": "loss", "patience": 1}},
    "inspected": {"inspect_every": 1},
}
SOURCES = {"linear": 1, "sine": 1, "xor": 2, "spirals": 2, "circles": 2, "moons": 2, "blobs": 3}
"""The outputs of a network for each built-in dataset."""


def an_image_spec(text: str) -> dict[str, Any]:
    """Return a spec of a nested architecture for images of 8 × 8."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((6, 8, 8, 1)), rng.integers(0, 2, 6)
    data = {"type": "inline", "x": x.tolist(), "y": y.tolist()}
    architecture, loss = json.loads(text), "cross_entropy"
    return {"data": data, "architecture": architecture, "loss": loss, "training": {"epochs": 2, "batch_size": 4}}


def every_spec() -> dict[str, dict[str, Any]]:
    """Return a small spec of each member of each kind, and of what several of them do together."""
    specs = {}
    for number, param in enumerate(EVERY):
        spec_of, case = cast("Any", param.values)
        specs[f"{number} {member_of(case).type}"] = spec_of(case)
    for name, training in OPTIONS.items():
        specs[name] = a_small_spec(
            dense(4, activation="tanh"), dense(3), training={"batch_size": 2, "epochs": 2} | training
        )
    for name, outputs in SOURCES.items():
        data = {"type": "builtin", "name": name, "rows": 12, "validation": {"fraction": 0.25}}
        specs[name] = a_small_spec(dense(4, activation="tanh"), dense(outputs)) | {"data": data}
    for name, text in (("resnet", RESNET), ("mixer", MIXER), ("wavenet", WAVENET)):
        specs[name] = an_image_spec(text)
    unet = an_image_spec(UNET)
    specs["unet"] = unet | {"data": unet["data"] | {"y": unet["data"]["x"]}, "loss": "mean_squared_error"}
    return specs


SPECS = every_spec()


@pytest.fixture(scope="session")
def here() -> Runs:
    """What this tree computes, by the same program in a process of its own."""
    return run_in(ROOT, list(SPECS.values()))


@pytest.fixture(scope="session")
def there(before: Path) -> Runs:
    """What the version before computes."""
    return run_in(before, list(SPECS.values()))


def changed(one: Runs, other: Runs) -> list[str]:
    """Return the names of the runs that two trees accept and compute with different numbers."""
    pairs = zip(SPECS, one.runs, other.runs, strict=True)
    return [name for name, first, second in pairs if first and second and first != second]


def different(one: Mapping[str, str], other: Mapping[str, str]) -> list[str]:
    """Return the names of the definitions that two vocabularies do not share."""
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


def test_every_member_is_run(here: Runs) -> None:
    assert [name for name, run in zip(SPECS, here.runs, strict=True) if run is None] == []


def test_runs_of_the_same_tree_are_equal(here: Runs) -> None:
    few = dict(list(SPECS.items())[::20])
    again = run_in(ROOT, list(few.values()))
    assert again.runs == [run for name, run in zip(SPECS, here.runs, strict=True) if name in few]
    assert again.vocabulary == here.vocabulary == vocabulary()


def test_vocabulary_is_the_stated_one() -> None:
    stated = json.loads(STATED.read_text(encoding="utf-8"))
    changes = different(stated["definitions"], vocabulary())
    assert (stated["vocabulary"], changes) == (VOCABULARY, []), (
        f"{changes} changed: raise VOCABULARY in core/versions.py once for each version that is released, "
        "then run `python -m tests.versions.test_changes`"
    )


def test_vocabulary_since_the_version_before_is_declared(before: Path, there: Runs, here: Runs) -> None:
    changes = different(there.vocabulary, here.vocabulary)
    assert not changes or numbers(before).vocabulary < VOCABULARY, f"{changes} changed: raise VOCABULARY"


def test_arithmetic_since_the_version_before_is_declared(before: Path, there: Runs, here: Runs) -> None:
    changes = changed(there, here)
    assert not changes or numbers(before).arithmetic < ARITHMETIC, f"{changes} changed: raise ARITHMETIC"


def test_undeclared_changes_are_found(older: Path, here: Runs) -> None:
    found = run_in(older, list(SPECS.values()))
    unknown = [name for name, run in zip(SPECS, found.runs, strict=True) if run is None]
    assert {name.split()[-1] for name in unknown} == {MISSING_LAYER}
    expected = {name for name, spec in SPECS.items() if f'"{OTHER_ACTIVATION}"' in json.dumps(spec)}
    assert set(changed(found, here)) == expected != set()
    assert MISSING_LAYER in different(found.vocabulary, here.vocabulary)
    assert (numbers(older).vocabulary, numbers(ROOT).vocabulary) == (0, VOCABULARY)


def test_jobs_of_the_version_before_are_still_accepted(there: Runs, here: Runs) -> None:
    """A member may be added. One that is removed would leave its jobs waiting for ever."""
    assert there.vocabulary.keys() <= here.vocabulary.keys()


if __name__ == "__main__":
    STATED.write_text(
        json.dumps({"vocabulary": VOCABULARY, "definitions": vocabulary()}, indent=1, sort_keys=True) + "\n"
    )
