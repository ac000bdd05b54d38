"""The API as a process: it stops cleanly with open streams, and refuses an unmigrated database with one line."""

import asyncio
import gc
import signal
import threading
from pathlib import Path

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from sqlalchemy import text

from api.server import Server
from core.store.database import open_database
from harness.processes import processes
from tests.api.conftest import LINE


def test_sigterm_ends_streams_and_exits_with_status_0(tmp_path: Path) -> None:
    with processes(tmp_path) as running:
        api = running.start_api()
        job = httpx.post(f"{running.url}/v1/jobs", json=LINE).raise_for_status().json()["id"]
        lines: list[str] = []
        first = threading.Event()

        def listen() -> None:
            with httpx.stream("GET", f"{running.url}/v1/jobs/{job}/events", timeout=30) as answer:
                for line in answer.iter_lines():
                    lines.append(line)
                    first.set()

        listener = threading.Thread(target=listen)
        listener.start()
        assert first.wait(20)
        api.send_signal(signal.SIGTERM)
        assert api.wait(8) == 0, running.output()
        listener.join(5)
    assert "retry: 1000" in lines
    assert "Traceback" not in running.output()


def test_other_migration_exits_with_a_one_line_message(tmp_path: Path) -> None:
    with processes(tmp_path) as running:
        database = open_database(running.settings.resolved_database_url)
        with database.begin() as s:
            s.execute(text("UPDATE alembic_version SET version_num = 'other'"))
        database.close()
        assert running.start("api").wait(30) == 1
        (line,) = running.output().splitlines()[1:]
    assert "chainrule migrate" in line


def test_what_lives_as_long_as_the_process_is_exempt_from_garbage_collection(monkeypatch: pytest.MonkeyPatch) -> None:
    async def started(server: uvicorn.Server, sockets: object = None) -> None:
        assert gc.get_freeze_count() == 0
        server.servers = []

    monkeypatch.setattr(uvicorn.Server, "startup", started)
    app = FastAPI()
    try:
        asyncio.run(Server(uvicorn.Config(app), app).startup())
        assert gc.get_freeze_count() > 10_000
    finally:
        gc.unfreeze()
