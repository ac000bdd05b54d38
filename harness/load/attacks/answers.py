"""Small requests whose answers are very large."""

import io

import httpx
import numpy as np

from harness.load.attack import Attack, Json, Must, Run, Target, as_bytes
from harness.load.client import CLOSED, Answer
from harness.load.jobs import spec, trained

NPY = {"Content-Type": "application/x-npy"}
BOUNDED = Must(statuses=(413, 422), seconds=2)
REFUSED_AT_CREATION = Answer(422, 0, 0.0)
"""The answer to an attack whose job the service has already refused."""


def npy(array: np.ndarray) -> bytes:
    """Return an array as an npy file."""
    with io.BytesIO() as file:
        np.save(file, array)
        return file.getvalue()


def predicts(target: Target, job: str | None, body: bytes, headers: dict[str, str] | None = None) -> Run:
    """Return the attack that predicts with a job, if the service has accepted that job."""
    if job is None:
        return lambda: [REFUSED_AT_CREATION]
    kinds = headers or {"Content-Type": "application/json"}
    return lambda: [target.post(f"/v1/jobs/{job}/predictions", body, kinds)]


def inline(x: list[object], y: list[object], units: int) -> Json:
    """Return a job on these rows with one layer of so many outputs."""
    return spec([], outputs=units) | {"data": {"type": "inline", "x": x, "y": y}}


def long_class_names(target: Target) -> Run:
    """Predict 170 rows with a model whose class names have a million characters each."""
    names: list[object] = [letter * target.scaled(1_000_000) for letter in "ab"]
    job = trained(target, as_bytes(inline([[0], [1]], names, 2)))
    return predicts(target, job, as_bytes({"instances": [[0]] * 170}))


def many_outputs(target: Target) -> Run:
    """Predict 30 rows with a network of 500,000 outputs."""
    units = target.scaled(500_000)
    job = trained(target, as_bytes(inline([[0], [1]], [[0] * units, [1] * units], units)))
    return predicts(target, job, as_bytes({"instances": [[0]] * 30}))


def many_rows(target: Target) -> Run:
    """Predict 4,000,000 rows of one byte each."""
    job = trained(target, as_bytes(inline([[0], [1]], [[0], [1]], 1)))
    return predicts(target, job, npy(np.zeros((target.scaled(4_000_000), 1), np.uint8)), NPY)


def many_classes(target: Target) -> Run:
    """Predict 20,000 rows with a model of 1,000 classes, each with its probability."""
    names: list[object] = [f"class {number:04}" for number in range(1000)]
    job = trained(target, as_bytes(inline([[number] for number in range(1000)], names, 1000)))
    return predicts(target, job, npy(np.zeros((target.scaled(20_000), 1), np.uint8)), NPY)


def wide_rows(target: Target) -> Run:
    """Page through 1,000 rows of a dataset of 10,000 columns."""
    columns = target.scaled(10_000)
    table = (
        ",".join(f"c{n}" for n in range(columns)) + "\n" + (",".join(["0.123456"] * columns) + "\n") * 1000
    ).encode()
    url = f"{target.running.url}/v1/datasets"
    answer = httpx.post(url, content=table, headers={"Content-Type": "text/csv"}, timeout=120)
    if not answer.is_success:
        return lambda: [Answer(answer.status_code, len(answer.content), 0.0)]
    return lambda: [target.ask("GET", f"/v1/datasets/{answer.json()['id']}/rows?limit=1000")]


def inspected_arrays(target: Target) -> Run:
    """Inspect a step with all arrays of a wide network."""
    job = trained(target, as_bytes(spec([target.scaled(1000, 10)] * 2)))
    body = as_bytes({"instances": [[0, 1]] * 1000, "targets": ["blue", "orange"] * 500, "arrays": True})
    return (lambda: [target.post(f"/v1/jobs/{job}/inspect", body)]) if job else (lambda: [Answer(CLOSED, 0, 0.0)])


ANSWERS = (
    Attack("two class names of 1,000,000 characters, 170 rows", long_class_names, BOUNDED),
    Attack("a network of 500,000 outputs, 30 rows", many_outputs, BOUNDED),
    Attack("an npy file of 4,000,000 rows", many_rows, BOUNDED),
    Attack("1,000 classes, 20,000 rows", many_classes, BOUNDED),
    Attack("1,000 rows of 10,000 columns of a dataset", wide_rows, Must(statuses=(200, 413, 422), answer_bytes=64e6)),
    Attack("all arrays of an inspected step", inspected_arrays, Must(statuses=(200, 413, 422), answer_bytes=64e6)),
)
