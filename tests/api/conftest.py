"""Fixtures: an API on each database. Jobs are trained in this process by the worker's own `run`."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from threadpoolctl import ThreadpoolController

from api.app import create_app
from api.dependencies import Services
from core import logging
from core.jobs.examples import DOUBLING
from core.settings import Settings
from core.store import leases
from core.store.migrate import upgrade
from harness.backends import postgres_database
from tests.api.contract import CheckedClient
from worker.context import WorkerContext
from worker.run.run import run
from worker.shutdown import ShutdownRequest

LINE: dict[str, Any] = {key: DOUBLING[key] for key in ("data", "architecture", "optimizer", "training")}
"""Y = 2x with the default loss, so that tests can change the data."""


LOOPBACK = "http://127.0.0.1"
"""The address of the API in tests: Starlette's default `testserver` is no host of this service."""


@dataclass(frozen=True)
class Api:
    """A running API and its services."""

    client: TestClient
    services: Services

    def post(self, **changes: Any) -> dict[str, Any]:
        """Create a job: y = 2x with these changes."""
        answer = self.client.post("/v1/jobs", json=LINE | changes)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def job(self, job_id: str) -> dict[str, Any]:
        """Return the job."""
        return dict(self.client.get(f"/v1/jobs/{job_id}").raise_for_status().json())

    def train(self) -> None:
        """Train all queued jobs to their end."""
        settings, database = self.services.settings, self.services.database
        context = WorkerContext(
            "test:0:0",
            settings,
            database,
            self.services.blobs,
            self.services.notifier,
            ShutdownRequest(),
            ThreadpoolController(),
        )
        while True:
            with database.begin() as s:
                job = leases.claim(s, context.name, settings.lease_seconds)
            if job is None:
                return
            run(context, job)

    def trained(self, **changes: Any) -> dict[str, Any]:
        """Create a job and train it to its end."""
        job = self.post(**changes)
        self.train()
        return self.job(job["id"])


@pytest.fixture(scope="session", autouse=True)
def _logging() -> None:
    logging.configure(Settings(log_level="warning"))


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest) -> Iterator[str | None]:
    """Create a database for this module and yield its URL; None for the embedded one."""
    if request.param == "sqlite":
        yield None
        return
    with postgres_database() as url:
        yield url


@pytest.fixture(scope="module")
def api(database: str | None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """Start an API on each database."""
    with running(Settings(**quiet(tmp_path_factory.mktemp("api"), database_url=database))) as api:
        yield api


@pytest.fixture
def client(api: Api) -> TestClient:
    """Return a client of the API."""
    return api.client


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """Start an API on SQLite only, for tests that do not depend on the database."""
    with running(Settings(**quiet(tmp_path_factory.mktemp("api")))) as api:
        yield api


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Api]]:
    """Return a function that starts an API with settings of a single test."""
    with ExitStack() as stack:
        yield lambda **changes: stack.enter_context(running(Settings(**quiet(tmp_path, **changes))))


def quiet(folder: Path, **changes: Any) -> dict[str, Any]:
    """Return settings without a running lease collector: tests call it themselves."""
    return {"data_dir": folder, "threads": 1, "lease_check_seconds": 3600.0} | changes


@contextmanager
def running(settings: Settings) -> Iterator[Api]:
    """Run an API on a migrated database."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    upgrade(settings.resolved_database_url)
    app = create_app(settings)
    with CheckedClient(app, base_url=LOOPBACK, raise_server_exceptions=False) as client:
        yield Api(client, client.app.state.services)  # type: ignore[attr-defined]
