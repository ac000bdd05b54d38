"""What a tree computes and accepts: `python -m harness.versions.member_runs` in the tree's folder.

It reads a JSON list of job specs from standard input, trains each, and writes a digest of all numbers that it computed;
null for a spec that the tree does not accept. It also writes a digest of each definition in the JSON schema of a spec.
A tree without this module gets a copy of the file.
"""

import hashlib
import json
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pydantic import ValidationError

from core.data.errors import InvalidData
from core.data.prepare import prepare, signature
from core.jobs.continuation import Continuation
from core.jobs.errors import InvalidSpec
from core.jobs.resolve import resolve
from core.jobs.spec import JobSpec
from core.nn.predictor import Predictor
from core.nn.step.state import start
from core.nn.training.learner import Learner
from core.nn.training.options import Diverged, Step

TIMEOUT_SECONDS = 300.0
PROSE = frozenset({"description", "title", "example", "examples"})
"""Keywords of a JSON schema that do not change what it accepts."""

REPEATED = frozenset({"discriminator"})
"""Keywords that repeat what the choices of a union say."""


RENAMED = {"error_rate": "confusion_matrix", "val_error_rate": "val_confusion_matrix"}
"""Values of metrics that have another name in this version: the numbers are the same, so no arithmetic has changed."""


class Runs(NamedTuple):
    """The digest of each run, in the order of the specs, and of each definition of the vocabulary, by name."""

    runs: list[str | None]
    vocabulary: dict[str, str]


def run_in(tree: Path, specs: Sequence[Any]) -> Runs:
    """Return what this program writes in another tree."""
    module = tree / "harness" / "versions" / "member_runs.py"
    if not module.exists():
        module.parent.mkdir(parents=True, exist_ok=True)
        (module.parent / "__init__.py").touch()
        shutil.copy(__file__, module)
    done = subprocess.run(
        [sys.executable, "-m", "harness.versions.member_runs"],
        cwd=tree,
        input=json.dumps(specs).encode(),
        capture_output=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return Runs(**json.loads(done.stdout))


def run_digest(text: str) -> str | None:
    """Return a digest of the losses, metrics, weights, state and predictions of a small job; None if it is unknown."""
    try:
        spec = JobSpec.model_validate_json(text)
        resolved = resolve(spec, signature(spec.data, None))
    except (ValidationError, InvalidSpec, InvalidData):
        return None
    data = resolved.fit(prepare(spec.data, None, spec.training.seed))
    network = resolved.network
    state = start(network, spec.optimizer, spec.training.seed)
    digest = hashlib.sha256()
    learner = Learner(network, resolved.loss, spec.optimizer, resolved.training, data, state)
    try:
        for item in learner.train():
            digest.update(repr(item.loss if isinstance(item, Step) else _as_before(item.metrics)).encode())
    except Diverged as fact:
        digest.update(str(fact).encode())
    for name, vector in sorted(state.arrays().items()):
        digest.update(name.encode() + np.ascontiguousarray(vector).tobytes())
    outputs = Predictor(network, state.weights, state.statistics).predict(data.x, resolved.loss.link)
    digest.update(np.ascontiguousarray(outputs).tobytes())
    return digest.hexdigest()[:16]


def _as_before(metrics: Mapping[str, float]) -> list[tuple[str, float]]:
    """Return metrics in order, by the names that the version before gave them."""
    return sorted((RENAMED.get(name, name), value) for name, value in metrics.items())


def vocabulary() -> dict[str, str]:
    """Return a digest of each object in the JSON schemas of what a job is posted with, by its `type` or its name.

    Members of different kinds with the same `type` share a digest. How a schema is divided into definitions does not
    matter.
    """
    found: dict[str, set[str]] = {}
    for model in (JobSpec, Continuation):
        schema = _without_prose(model.model_json_schema())
        definitions = schema.pop("$defs", {}) | {model.__name__: schema}
        for name, definition in definitions.items():
            if "properties" in definition:
                text = json.dumps(_inlined(definition, definitions), sort_keys=True)
                found.setdefault(_name(name, definition), set()).add(text)
    return {name: hashlib.sha256("".join(sorted(texts)).encode()).hexdigest()[:16] for name, texts in found.items()}


def _name(name: str, definition: Any) -> str:
    return str(definition["properties"].get("type", {}).get("const", name))


def _inlined(schema: Any, definitions: Mapping[str, Any]) -> Any:
    """Return a schema with unions in place of references to them, and names in place of references to objects."""
    if isinstance(schema, list):
        return [_inlined(part, definitions) for part in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: _inlined(part, definitions) for key, part in schema.items() if key not in {"$ref", *REPEATED}}
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        target = definitions[name]
        own = {"object": _name(name, target)} if "properties" in target else _inlined(target, definitions)
        found = own | found
    if choices := found.pop("oneOf", []) + found.pop("anyOf", []):
        found["anyOf"] = sorted(_flat(choices), key=json.dumps)
    return found


def _flat(choices: Sequence[Any]) -> Iterator[Any]:
    """Yield the choices of a union, with those of a union inside it in its place.

    An empty choice stands for the values that `core.nn.tagged_union` refuses with a message of its own.
    """
    for choice in filter(None, choices):
        yield from choice["anyOf"] if list(choice) == ["anyOf"] else [choice]


def _without_prose(schema: Any, *, names: bool = False) -> Any:
    """Return a schema without prose; with `names`, the keys are those of a client's document and all stay."""
    if isinstance(schema, list):
        return [_without_prose(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _without_prose(part, names=key in {"properties", "$defs"} and not names)
        for key, part in schema.items()
        if names or key not in PROSE
    }


def main() -> None:
    """Answer one request."""
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    runs = Runs([run_digest(json.dumps(spec)) for spec in json.load(sys.stdin)], vocabulary())
    json.dump(runs._asdict(), sys.stdout)


if __name__ == "__main__":
    main()
