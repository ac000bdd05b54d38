"""Fuzz targets: a function for each parser of client bytes, which raises only where the parser has a fault.

`tests/harness/test_fuzz.py` runs them on seeds and mutations; `python -m harness.fuzz` on inputs that reach new code.
"""

import atexit
import contextlib
import io
import json
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from starlette.testclient import TestClient

from api.app import create_app
from api.http.errors import InvalidBody
from api.http.parsing import parse
from api.schemas.examples import CSV, JOBS
from api.schemas.prediction import PredictionRequest
from core import logging
from core.data import readers
from core.data.errors import InvalidData, InvalidFile
from core.data.instances import instances_from_csv, instances_from_npy
from core.data.prepare import prepare, signature
from core.data.schema import Limits
from core.jobs.errors import InvalidSpec
from core.jobs.estimate import Limits as JobLimits
from core.jobs.estimate import estimate_cost
from core.jobs.examples import DOUBLING
from core.jobs.spec import JobSpec
from core.models.checkpoint import DamagedCheckpoint, decode, encode
from core.settings import Settings
from core.store.migrate import upgrade
from tests.core.nn.trainings import ATraining, classes

LIMITS = Limits(cells=100_000, columns=1_000)
Parser = Callable[[bytes], None]


def spec(data: bytes) -> None:
    """Parse a job spec, check it, and prepare its inline data as a worker does."""
    with contextlib.suppress(InvalidBody, InvalidSpec, InvalidData):
        found = parse(JobSpec, data)
        if found.data.dataset_id is None:
            estimate_cost(found, signature(found.data, None), JobLimits(parameters=100_000, memory=1 << 24))
            prepare(found.data, None, 0)


def csv(data: bytes) -> None:
    """Parse a CSV file, as a dataset and as records to predict."""
    _read_dataset("data.csv", data)
    with contextlib.suppress(InvalidFile):
        instances_from_csv(data, (), LIMITS)
        instances_from_csv(data, ("a", "b"), LIMITS)


def npy(data: bytes) -> None:
    """Parse an .npy file, as a dataset and as records to predict."""
    _read_dataset("data.npy", data)
    with contextlib.suppress(InvalidFile):
        instances_from_npy(data, LIMITS)


def npz(data: bytes) -> None:
    """Parse an .npz file."""
    _read_dataset("data.npz", data)


def instances(data: bytes) -> None:
    """Parse the body of a prediction."""
    with contextlib.suppress(InvalidBody):
        parse(PredictionRequest, data)


def checkpoint(data: bytes) -> None:
    """Decode a checkpoint file."""
    with contextlib.suppress(DamagedCheckpoint):
        decode(data)


def cursor(data: bytes) -> None:
    """Send the cursor of a list."""
    _request("GET", "/v1/jobs", params={"cursor": _text(data)})


def last_event_id(data: bytes) -> None:
    """Send the event id from which a stream resumes."""
    _request("GET", "/v1/jobs/latest/events", headers={"Last-Event-ID": _header(data), "Accept": "application/jsonl"})


def idempotency_key(data: bytes) -> None:
    """Send an idempotency key."""
    _request("POST", "/v1/jobs", headers={"Idempotency-Key": _header(data)}, json={"name": "no spec"})


PARSERS: Mapping[str, Parser] = {
    parser.__name__: parser
    for parser in (spec, csv, npy, npz, instances, checkpoint, cursor, last_event_id, idempotency_key)
}


def seeds(name: str) -> list[bytes]:
    """Return inputs that the parser accepts."""
    x = np.arange(6.0).reshape(3, 2)
    make: Mapping[str, Callable[[], list[bytes]]] = {
        "spec": lambda: [json.dumps(example["value"]).encode() for example in JOBS.values()],
        "csv": lambda: [CSV.encode(), b'"a";b\n1;"x\ny"\n;\n', "a\tü\n1\t2\n".encode("utf-16")],
        "npy": lambda: [_saved(np.save, x), _saved(np.save, np.array(["a", "bc"])), _saved(np.save, x > 1)],
        "npz": lambda: [_saved(np.savez, x=x, y=np.arange(3)), _saved(np.savez_compressed, x=x, y=np.arange(3))],
        "instances": lambda: [b'{"instances": [[6]]}', b'{"instances": [{"a": 1, "b": null, "c": "x"}]}'],
        "checkpoint": lambda: [_checkpoint()],
        "cursor": lambda: [b"am9iXzAxbTg1eWFjZmNwamdyMHcxcDUycjN6cGN5"],
        "last_event_id": lambda: [b"17"],
        "idempotency_key": lambda: [b"0b8a-7f"],
    }
    return make[name]()


def _saved(save: Callable[..., None], *arrays: Any, **named: Any) -> bytes:
    file = io.BytesIO()
    save(file, *arrays, **named)
    return file.getvalue()


def _checkpoint() -> bytes:
    training = ATraining(classes())
    training.run(3)
    assert training.state is not None
    return encode(training.state, {"architecture": {}}, {"emitted": 3})


def _read_dataset(name: str, data: bytes) -> None:
    with tempfile.NamedTemporaryFile(dir=_memory_directory()) as file:
        file.write(data)
        file.flush()
        path = Path(file.name)
        with contextlib.suppress(InvalidFile):
            schema = readers.reader_of_upload(None, name, None, data[:64]).infer_schema(path, {}, LIMITS)
            readers.rows(path, schema, 0, 5)
            readers.load(path, schema, [column.name for column in schema.columns if column.type != "text"])


def _memory_directory() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _header(data: bytes) -> bytes:
    return bytes(byte for byte in data if byte in range(0x20, 0x100) and byte != 0x7F).strip()


def _request(method: str, path: str, **options: Any) -> None:
    response = _client().request(method, path, **options)
    assert response.status_code < 500, response.text


@cache
def _client() -> TestClient:
    """Return a client of an embedded service with one job that has ended; it is closed when the process exits."""
    stack = ExitStack()
    atexit.register(stack.close)
    settings = Settings(data_dir=Path(stack.enter_context(tempfile.TemporaryDirectory())), log_level="error")
    upgrade(settings.resolved_database_url)
    logging.configure(settings)
    client = stack.enter_context(TestClient(create_app(settings), base_url="http://127.0.0.1"))
    job = client.post("/v1/jobs", json=DOUBLING).raise_for_status().json()["id"]
    client.post(f"/v1/jobs/{job}/cancel").raise_for_status()
    return client
