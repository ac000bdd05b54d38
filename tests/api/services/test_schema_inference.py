"""Schema inference: a file that crashes, blocks or exhausts the child process is refused, and nothing is stored."""

import asyncio
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from api.services.schema_inference import SchemaInference, TooManyUploads, UnreadableFile, infer_in_child
from core.data.errors import InvalidFile
from core.data.readers import READERS
from core.data.readers.csv import Csv
from core.data.readers.infer_schema import Bounds
from core.data.schema import Limits, Schema
from tests.api.conftest import Api
from tests.core.data.readers.test_readers import FILES, a_reader

BOUNDS = Bounds(60, 2**30)
CSV = {"Content-Type": "text/csv"}
LARGE_CSV = b"a,b,c\n" + b"1.25,2.5,some words\n" * 3_000_000


def stored_files(api: Api) -> list[str]:
    return [path.name for path in api.services.settings.blob_dir.glob("*") if path.name != ".lock"]


def children() -> list[int]:
    """Return the ids of the running child processes of schema inference."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, IndexError):
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == os.getpid() and b"core.data.readers.infer_schema" in (path / "cmdline").read_bytes():
                found.append(int(path.name))
    return found


@pytest.mark.parametrize("name", READERS)
def test_schema_from_the_child_equals_the_schema_in_process(tmp_path: Path, name: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(FILES[name])
    reader = a_reader(name)
    assert infer_in_child(path, reader, {}, Limits(), BOUNDS) == reader.infer_schema(path, {}, Limits())


def test_types_and_limits_reach_the_child(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"zip\n0815\n4711\n")
    assert infer_in_child(path, Csv(), {"zip": "category"}, Limits(), BOUNDS).columns[0].type == "category"
    with pytest.raises(InvalidFile, match="more than 1 cells"):
        infer_in_child(path, Csv(), None, Limits(cells=1), BOUNDS)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_crash_of_the_child_gets_422_and_stores_nothing(start: Callable[..., Api], number: signal.Signals) -> None:
    api = start()
    killed: list[int] = []

    def kill() -> None:
        while not killed:
            for child in children():
                os.kill(child, number)
                killed.append(child)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    answer = api.client.post("/v1/datasets", content=LARGE_CSV, headers=CSV)
    killer.join()
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "unreadable_file")
    assert number.name in problem["detail"]
    assert stored_files(api) == []
    assert api.client.get("/v1/datasets").json()["items"] == []
    assert api.client.post("/v1/datasets", content=b"a,b\n1,2\n", headers=CSV).status_code == 201


def test_file_beyond_the_cpu_limit_gets_422_and_stores_nothing(start: Callable[..., Api]) -> None:
    api = start(schema_seconds=1)
    answer = api.client.post("/v1/datasets", content=LARGE_CSV, headers=CSV)
    assert (answer.status_code, answer.json()["code"]) == (422, "unreadable_file")
    assert "CHAINRULE_SCHEMA_SECONDS" in answer.json()["detail"]
    assert stored_files(api) == []
    assert children() == []


def test_blocked_child_is_killed_after_the_time_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.services.schema_inference.STARTUP_SECONDS", 0.0)
    os.mkfifo(tmp_path / "pipe")  # opening it blocks without a writer, and uses no CPU time
    began = time.monotonic()
    with pytest.raises(UnreadableFile, match="takes longer than 1 s"):
        infer_in_child(tmp_path / "pipe", Csv(), None, Limits(), Bounds(1, 2**30))
    assert time.monotonic() - began < 60


def test_file_beyond_the_memory_limit_gets_422_and_stores_nothing(start: Callable[..., Api]) -> None:
    api = start(schema_memory_bytes=2**28)
    wide_row = b",".join(b"c%d" % n for n in range(300_000))
    api.services.settings.blob_dir.mkdir(parents=True, exist_ok=True)
    answer = api.client.post("/v1/datasets", content=(wide_row + b"\n") * 1, headers=CSV)
    assert answer.status_code == 422
    path = api.services.settings.blob_dir / "file"
    path.write_bytes(b"\n".join([wide_row] * 2))
    with pytest.raises(UnreadableFile, match="CHAINRULE_SCHEMA_MEMORY_BYTES"):
        infer_in_child(path, Csv(), None, Limits(columns=10**6, record_bytes=2**30), Bounds(60, 2**28))


def test_child_gets_none_of_the_services_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a program in place of the child that returns its environment."""
    (tmp_path / "core" / "data" / "readers").mkdir(parents=True)
    program = "import json, os, sys; sys.stdin.read(); print(json.dumps({'invalid': json.dumps(dict(os.environ))}))"
    (tmp_path / "core" / "data" / "readers" / "infer_schema.py").write_text(program)
    for package in ("core", "core/data", "core/data/readers"):
        (tmp_path / package / "__init__.py").touch()
    monkeypatch.setattr("api.services.schema_inference.CODE_ROOT", tmp_path)
    monkeypatch.setenv("CHAINRULE_DATABASE_URL", "postgresql://someone:secret@127.0.0.1/x")
    with pytest.raises(InvalidFile) as refused:
        infer_in_child(tmp_path / "file", Csv(), None, Limits(), BOUNDS)
    variables = json.loads(refused.value.message)
    assert not [name for name in variables if name.startswith("CHAINRULE_")]
    assert "secret" not in refused.value.message


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Replace inference by a function that waits for the returned event."""
    released = threading.Event()

    def wait(*_: Any) -> Schema:
        released.wait(30)
        return Schema(format="csv", rows=1, columns=())

    monkeypatch.setattr("api.services.schema_inference.infer_in_child", wait)
    yield released
    released.set()


def test_uploads_beyond_the_queue_are_refused(slow: threading.Event) -> None:
    async def many() -> list[Any]:
        schema_inference = SchemaInference(BOUNDS, max_running=2, max_waiting=3)
        tasks = [asyncio.create_task(schema_inference.infer(Path("f"), Csv(), None, Limits())) for _ in range(8)]
        while not all(task.done() for task in tasks[5:]):
            await asyncio.sleep(0)
        assert not any(task.done() for task in tasks[:5])
        slow.set()
        first = await asyncio.gather(*tasks, return_exceptions=True)
        return [*first, await schema_inference.infer(Path("f"), Csv(), None, Limits())]

    answers = asyncio.run(many())
    assert [isinstance(answer, TooManyUploads) for answer in answers] == [False] * 5 + [True] * 3 + [False]


def test_full_queue_gets_429_with_retry_after(start: Callable[..., Api], monkeypatch: pytest.MonkeyPatch) -> None:
    api = start()
    monkeypatch.setattr(api.services.schema_inference, "_capacity", 0)
    answer = api.client.post("/v1/datasets", content=b"a\n1\n", headers=CSV)
    assert (answer.status_code, answer.json()["code"]) == (429, "too_many_uploads")
    assert int(answer.headers["retry-after"]) > 0
    assert stored_files(api) == []
