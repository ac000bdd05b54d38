"""Liveness and readiness."""

from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from api.app import create_app
from core import VERSION
from core.store.errors import WrongRevision


def test_service_is_live_and_ready(client: TestClient) -> None:
    assert client.get("/health/live").json() == {"status": "ok"}
    ready = client.get("/health/ready")
    assert ready.status_code == 200
    assert ready.json() == {
        "status": "ready",
        "version": VERSION,
        "database": {"status": "ok"},
        "broker": {"status": "ok"},
        "waiting_for_version": [],
    }


def test_service_without_broker_is_ready_and_reports_it(start: Any) -> None:
    api = start(broker_url="redis://127.0.0.1:1/0")
    ready = api.client.get("/health/ready")
    assert (ready.status_code, ready.json()["broker"]) == (200, {"status": "away"})
    assert api.post()["status"] == "queued"


def test_service_at_another_migration_is_not_ready_and_does_not_start(start: Any) -> None:
    api = start()
    with api.services.database.begin() as s:
        s.execute(text("UPDATE alembic_version SET version_num = 'other'"))
    ready = api.client.get("/health/ready")
    assert ready.status_code == 503
    assert ready.json()["database"]["status"] == "wrong_revision"
    assert "chainrule migrate" in ready.json()["database"]["detail"]
    with pytest.raises(WrongRevision, match="chainrule migrate"), TestClient(create_app(api.services.settings)):
        pass
