"""The parsers that meet a client's bytes, each as a function that takes any bytes and fails only where the parser does.

test_parsers.py shows them seeds and mutations; fuzz.py, for as long as one likes, whatever reaches new code.
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
from api.http.body import parse
from api.http.errors import InvalidBody
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

SMALL = Limits(cells=100_000, columns=1_000)
Parser = Callable[[bytes], None]


def spec(data: bytes) -> None:
    """A job's spec, with its inline data, up to the arrays that a worker makes of it."""
    with contextlib.suppress(InvalidBody, InvalidSpec, InvalidData):
        found = parse(JobSpec, data)
        if found.data.dataset_id is None:
            estimate_cost(found, signature(found.data, None), JobLimits(parameters=100_000, memory=1 << 24))
            prepare(found.data, None, 0)


def csv(data: bytes) -> None:
    """A CSV file, as a dataset and as records to predict."""
    _file("data.csv", data)
    with contextlib.suppress(InvalidFile):
        instances_from_csv(data, SMALL)


def npy(data: bytes) -> None:
    """A .npy file, as a dataset and as records to predict."""
    _file("data.npy", data)
    with contextlib.suppress(InvalidFile):
        instances_from_npy(data, SMALL)


def npz(data: bytes) -> None:
    """A .npz file."""
    _file("data.npz", data)


def instances(data: bytes) -> None:
    """A prediction's body."""
    with contextlib.suppress(InvalidBody):
        parse(PredictionRequest, data)


def checkpoint(data: bytes) -> None:
    """A checkpoint's file."""
    with contextlib.suppress(DamagedCheckpoint):
        decode(data)


def cursor(data: bytes) -> None:
    """A list's cursor."""
    _asked("GET", "/v1/jobs", params={"cursor": _text(data)})


def last_event_id(data: bytes) -> None:
    """Where a stream is to go on."""
    _asked("GET", "/v1/jobs/latest/events", headers={"Last-Event-ID": _header(data), "Accept": "application/jsonl"})


def idempotency_key(data: bytes) -> None:
    """The key of a request that may be repeated."""
    _asked("POST", "/v1/jobs", headers={"Idempotency-Key": _header(data)}, json={"name": "no spec"})


PARSERS: Mapping[str, Parser] = {
    one.__name__: one for one in (spec, csv, npy, npz, instances, checkpoint, cursor, last_event_id, idempotency_key)
}


def seeds(name: str) -> list[bytes]:
    """Bytes that the parser takes."""
    x = np.arange(6.0).reshape(3, 2)
    makers: Mapping[str, Callable[[], list[bytes]]] = {
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
    return makers[name]()


def _saved(save: Callable[..., None], *arrays: Any, **named: Any) -> bytes:
    file = io.BytesIO()
    save(file, *arrays, **named)
    return file.getvalue()


def _checkpoint() -> bytes:
    made = ATraining(classes())
    made.run(3)
    assert made.state is not None
    return encode(made.state, {"architecture": {}}, {"emitted": 3})


def _file(name: str, data: bytes) -> None:
    with tempfile.NamedTemporaryFile(dir=_memory()) as file:
        file.write(data)
        file.flush()
        path = Path(file.name)
        with contextlib.suppress(InvalidFile):
            schema = readers.reader_of_upload(None, name, None, data[:64]).infer_schema(path, {}, SMALL)
            readers.rows(path, schema, 0, 5)
            readers.load(path, schema, [column.name for column in schema.columns if column.type != "text"])


def _memory() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _header(data: bytes) -> bytes:
    return bytes(byte for byte in data if byte in range(0x20, 0x100) and byte != 0x7F).strip()


def _asked(method: str, path: str, **given: Any) -> None:
    answer = _client().request(method, path, **given)
    assert answer.status_code < 500, answer.text


@cache
def _client() -> TestClient:
    """An embedded service with one job that has ended, for as long as this process lives."""
    stack = ExitStack()
    atexit.register(stack.close)
    settings = Settings(data_dir=Path(stack.enter_context(tempfile.TemporaryDirectory())), log_level="error")
    upgrade(settings.resolved_database_url)
    logging.configure(settings)
    client = stack.enter_context(TestClient(create_app(settings)))
    job = client.post("/v1/jobs", json=DOUBLING).raise_for_status().json()["id"]
    client.post(f"/v1/jobs/{job}/cancel").raise_for_status()
    return client
