"""The version before this one, out of the history: its database is migrated while jobs are queued and running."""

from pathlib import Path

import httpx
import pytest

from core import VERSION
from core.store.migrate import HEAD_REVISION
from tests.versions.service import (
    ENDLESS,
    KINDS,
    SHORT,
    cancelled,
    claims,
    job,
    post,
    post_under_load,
    refusal,
    two_versions,
)


@pytest.mark.parametrize("kind", KINDS)
def test_jobs_of_the_version_before_survive_an_upgrade(kind: str, tmp_path: Path, before: Path) -> None:
    with two_versions(kind, tmp_path, before) as both:
        old, new = both.other, both.this
        assert old.start("migrate").wait(60) == 0, old.output()
        api, worker = old.start_api(), old.start_worker()
        done = both.ended(post(old), old)["id"]
        begun = post(old, ENDLESS)
        new.until(lambda: job(old, begun)["progress"]["step"] > 300, "the older worker trains")
        queued = post_under_load(old)
        assert "run `chainrule migrate`" in refusal(new.start("api"), new, "api")
        both.stop(worker)
        both.stop(api)

        assert new.start("migrate").wait(60) == 0, new.output()
        assert f"at migration {HEAD_REVISION}" in refusal(old.start("worker"), old, "worker")
        api, worker = new.start_api(), new.start_worker()
        found = cancelled(both, begun, new)
        assert (found["status"], found["reproducible"], found["made_for"]["version"]) == ("cancelled", False, VERSION)
        assert any("not reproducible" in one["message"] and "unknown arithmetic" in one["message"]
                   for one in found["transitions"])  # fmt: skip
        for job_id in queued:
            found = both.ended(job_id, new)
            assert found["status"] == "succeeded", found
            fresh = claims(found) == [worker.pid]
            assert (found["reproducible"], found["made_for"]["version"]) == ((True, VERSION) if fresh else (None, None))
        for job_id in (done, begun):
            answer = httpx.post(f"{new.url}/v1/jobs/{job_id}/predictions", json={"instances": [[0.1, 0.2]]}, timeout=60)
            assert answer.status_code == 200, answer.text
            answer = httpx.post(f"{new.url}/v1/jobs/{job_id}/continue", json={"epochs": 1}, timeout=60).json()
            assert answer["exact"] is False
            assert both.ended(answer["id"], new)["status"] == "succeeded"
        assert job(new, done)["reproducible"] is None
        started = both.ended(post(new, SHORT | {"start_from": {"job": done}}), new)
        assert (started["status"], started["exact"]) == ("succeeded", False)
        assert "a version before 0.2.0 computed" in started["inexact_reason"]
