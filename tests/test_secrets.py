"""Passwords stay where they are: in no log, answer, figure or error, whether their servers answer or are away."""

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

WORD = "Tr0ub4dor-s3cret"
ASKED = ("/health/ready", "/metrics", "/openapi.json", "/v1/jobs", "/v1/jobs/latest", "/v1/jobs/latest/metrics")


def command(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """`chainrule <words>` with these variables, to its end."""
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
def test_a_password_is_never_said(tmp_path: Path, log_format: str) -> None:
    with postgres_database() as url, redis_database():  # where neither is there, this is skipped
        database = make_url(url).set(password=WORD).render_as_string(hide_password=False)
        refusing = REDIS.replace("redis://", f"redis://nobody:{WORD}@")  # it knows no such user
        with processes(
            tmp_path, database_url=database, broker_url=refusing, log_format=log_format, log_level="debug"
        ) as running:
            running.start_api()
            running.start("worker")
            told = httpx.post(f"{running.url}/v1/jobs", json=LINE, timeout=30).text
            running.until(lambda: running.said().lower().count("username-password") > 1, "the broker refuses both")
            told += "".join(httpx.get(running.url + path, timeout=30).text for path in ASKED)
            said = running.said()
    assert "chainrule_jobs" in told
    assert WORD not in told + said


def test_a_password_of_a_server_that_is_away_is_never_said(tmp_path: Path) -> None:
    away = f"postgresql://chainrule:{WORD}@127.0.0.1:{free_port()}/chainrule"
    for words in (["api"], ["worker"], ["migrate"], ["doctor"]):
        ended = command(*words, CHAINRULE_DATABASE_URL=away, CHAINRULE_DATA_DIR=str(tmp_path))
        assert ended.returncode != 0
        assert "127.0.0.1" in ended.stdout + ended.stderr
        assert WORD not in ended.stdout + ended.stderr


@pytest.mark.parametrize("name", ["CHAINRULE_DATABASE_URL", "CHAINRULE_BROKER_URL", "CHAINRULE_PORT"])
def test_a_wrong_setting_is_named_and_not_shown(tmp_path: Path, name: str) -> None:
    ended = command("api", **{name: f"mysql//{WORD}", "CHAINRULE_DATA_DIR": str(tmp_path)})
    assert ended.returncode != 0
    assert name in ended.stderr
    assert WORD not in ended.stdout + ended.stderr
