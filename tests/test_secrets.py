"""Passwords appear in no log, response, metric or error, whether their servers answer or not."""

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from sqlalchemy import make_url

from harness.backends import REDIS, postgres_database, redis_database
from harness.processes import ROOT, free_port, processes
from tests.api.conftest import LINE

PASSWORD = "Tr0ub4dor-s3cret"
PATHS = ("/health/ready", "/metrics", "/openapi.json", "/v1/jobs", "/v1/jobs/latest", "/v1/jobs/latest/metrics")


def run_command(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `chainrule <words>` with these variables to its end."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CHAINRULE_")}
    return subprocess.run(
        [sys.executable, "-m", "chainrule", *words],
        cwd=ROOT,
        env=inherited | variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_password_is_in_no_log_and_no_response(tmp_path: Path, log_format: str) -> None:
    with postgres_database() as url, redis_database():  # skipped without the two servers
        database = make_url(url).set(password=PASSWORD).render_as_string(hide_password=False)
        refusing = REDIS.replace("redis://", f"redis://nobody:{PASSWORD}@")  # Redis has no such user
        with processes(
            tmp_path, database_url=database, broker_url=refusing, log_format=log_format, log_level="debug"
        ) as running:
            running.start_api()
            running.start("worker")
            responses = httpx.post(f"{running.url}/v1/jobs", json=LINE, timeout=30).text
            running.until(lambda: running.output().lower().count("username-password") > 1, "the broker refuses both")
            responses += "".join(httpx.get(running.url + path, timeout=30).text for path in PATHS)
            logs = running.output()
    assert "chainrule_jobs" in responses
    assert PASSWORD not in responses + logs


def test_password_of_an_unreachable_server_is_not_shown(tmp_path: Path) -> None:
    away = f"postgresql://chainrule:{PASSWORD}@127.0.0.1:{free_port()}/chainrule"
    for words in (["api"], ["worker"], ["migrate"], ["doctor"]):
        result = run_command(*words, CHAINRULE_DATABASE_URL=away, CHAINRULE_DATA_DIR=str(tmp_path))
        assert result.returncode != 0
        assert "127.0.0.1" in result.stdout + result.stderr
        assert PASSWORD not in result.stdout + result.stderr


@pytest.mark.parametrize("name", ["CHAINRULE_DATABASE_URL", "CHAINRULE_BROKER_URL", "CHAINRULE_PORT"])
def test_invalid_setting_is_named_but_its_value_is_not_shown(tmp_path: Path, name: str) -> None:
    result = run_command("api", **{name: f"mysql//{PASSWORD}", "CHAINRULE_DATA_DIR": str(tmp_path)})
    assert result.returncode != 0
    assert name in result.stderr
    assert PASSWORD not in result.stdout + result.stderr
