"""Runs that compute with something else than the run before, and jobs of other versions."""

import json
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
from sqlalchemy import update

from core.jobs.states import Status
from core.models import checkpoint as checkpoint_file
from core.nn.step.state import State
from core.store import checkpoints, jobs, leases
from core.store.scope import EVERYTHING
from core.store.tables import Checkpoint, Job, Spec
from core.store.warm_starts import start_of
from core.versions import ARITHMETIC, THIS, VOCABULARY
from tests.worker.jobs import SPIRALS, a_context, a_spec, log_data, metric_rows, post, post_continuation, row, statuses
from tests.worker.run.test_run import act_at
from worker.claim_loop import run_queued_jobs
from worker.context import WorkerContext

SHORT = a_spec(SPIRALS, epochs=4, batch_size=30, shuffle=True)
ELSEWHERE = "arithmetic 0, NumPy 1.0.0 (SSE), glibc 2.0, openblas 0.1 (Nehalem, threads: 7)"


@pytest.fixture
def context(tmp_path: Path) -> Iterator[WorkerContext]:
    made = a_context(tmp_path)
    yield made
    made.notifier.close()
    made.database.close()


def messages(context: WorkerContext, job_id: str) -> list[str]:
    with context.database.read() as s:
        return [one.message for one in jobs.transitions(s, EVERYTHING, job_id)]


def compute_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WorkerContext, "computed_with", lambda _: ELSEWHERE)


def paused(context: WorkerContext, spec: dict[str, Any] = SHORT, step: int = 15) -> str:
    """Return a job that was paused at this step."""
    job_id = post(context.database, spec)

    def pause() -> None:
        with context.database.begin() as s:
            jobs.pause(s, EVERYTHING, job_id)

    with pytest.MonkeyPatch.context() as patch:
        act_at(patch, step, pause)
        run_queued_jobs(context)
    assert row(context.database, job_id).status is Status.PAUSED
    return job_id


def resume(context: WorkerContext, job_id: str) -> Job:
    with context.database.begin() as s:
        jobs.resume(s, EVERYTHING, job_id)
    run_queued_jobs(context)
    return row(context.database, job_id)


def test_job_records_what_it_is_computed_with(context: WorkerContext) -> None:
    job_id = post(context.database, SHORT)
    before = row(context.database, job_id)
    assert (before.computed_with, before.reproducible, before.version) == (None, True, THIS.version)
    run_queued_jobs(context)
    job = row(context.database, job_id)
    assert job.computed_with is not None
    for part in (f"arithmetic {ARITHMETIC}, NumPy ", "openblas", "threads: 1)"):
        assert part in job.computed_with
    assert (job.status, job.reproducible) == (Status.SUCCEEDED, True)
    assert len(messages(context, job_id)) == 3


def test_resume_with_the_same_stays_reproducible(context: WorkerContext) -> None:
    job_id = paused(context)
    job = resume(context, job_id)
    assert (job.status, job.reproducible, job.inexact_reason) == (Status.SUCCEEDED, True, None)
    assert not any("reproducible" in message for message in messages(context, job_id))


@pytest.mark.parametrize(
    ("change", "by"),
    [
        ("arithmetic", (f"arithmetic {ARITHMETIC}", f"arithmetic {ARITHMETIC + 1}")),
        ("library", ("NumPy ", "NumPy 9.")),
        ("kernel", ("(", "(Other ")),
        ("threads", ("threads: 1", "threads: 2")),
    ],
)
def test_resume_with_something_else_is_a_transition_and_not_reproducible(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch, change: str, by: tuple[str, str]
) -> None:
    job_id = paused(context)
    here = context.computed_with()
    monkeypatch.setattr(WorkerContext, "computed_with", lambda _: here.replace(*by))
    job = resume(context, job_id)
    assert (job.status, job.reproducible, job.computed_with) == (Status.SUCCEEDED, False, here.replace(*by)), change
    (message,) = [message for message in messages(context, job_id) if "not reproducible" in message]
    assert here in message
    assert here.replace(*by) in message
    assert "from step 15" in message


def test_second_run_from_the_start_with_something_else_is_not_reproducible(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker was lost after it had written rows, and before its first checkpoint."""
    job_id = post(context.database, SHORT)

    def lose() -> None:
        until = monotonic() + 20
        while not row(context.database, job_id).recorded and monotonic() < until:
            sleep(0.005)  # the writer's thread writes the first rows
        with context.database.begin() as s:
            leases.requeue_lost(s, job_id, jobs.get(s, EVERYTHING, job_id).fence, message="lost")
        compute_elsewhere(monkeypatch)

    with pytest.MonkeyPatch.context() as patch:
        act_at(patch, 15, lose)
        run_queued_jobs(context)
    job = row(context.database, job_id)
    assert (job.status, job.reproducible, job.computed_with) == (Status.SUCCEEDED, False, ELSEWHERE)


def test_job_of_an_older_version_is_not_reproducible_after_its_resume(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode = checkpoint_file.encode

    def encode_as_0_1_0(state: State, model: Any, run_info: Any) -> bytes:
        kernels = [{"library": "openblas", "version": "0.3", "kernel": "Zen", "threads": 1}]
        return encode(state, model, {"emitted": run_info["emitted"], "kernels": kernels})

    with monkeypatch.context() as patch:
        patch.setattr("worker.run.checkpointer.encode", encode_as_0_1_0)
        job_id = paused(context)
    with context.database.begin() as s:
        s.execute(update(Job).values(reproducible=None, computed_with=None, version=None, vocabulary=0, arithmetic=0))
    job = resume(context, job_id)
    assert (job.status, job.reproducible, job.version) == (Status.SUCCEEDED, False, THIS.version)
    assert any("an unknown arithmetic, openblas 0.3 Zen 1 before" in message for message in messages(context, job_id))


def test_queued_job_of_an_older_version_is_reproducible(context: WorkerContext) -> None:
    job_id = post(context.database, SHORT)
    with context.database.begin() as s:
        s.execute(update(Job).values(reproducible=None, version=None, vocabulary=0, arithmetic=0))
    run_queued_jobs(context)
    job = row(context.database, job_id)
    assert (job.status, job.reproducible, job.version) == (Status.SUCCEEDED, True, THIS.version)


def test_continued_job_computed_elsewhere_is_inexact(context: WorkerContext, monkeypatch: pytest.MonkeyPatch) -> None:
    first = post(context.database, SHORT)
    run_queued_jobs(context)
    same, other = (post_continuation(context.database, first, 1) for _ in range(2))
    with context.database.begin() as s:
        jobs.pause(s, EVERYTHING, other)
    run_queued_jobs(context)
    compute_elsewhere(monkeypatch)
    resume(context, other)
    for job_id, exact in ((same, True), (other, False)):
        job = row(context.database, job_id)
        assert (job.status, job.reproducible, job.inexact_reason is None) == (Status.SUCCEEDED, exact, exact)
    again = post_continuation(context.database, other, 1)
    job = row(context.database, again)
    assert job.reproducible is False
    assert f"{other} is not reproducible" in (job.inexact_reason or "")


def test_start_from_weights_computed_elsewhere_is_inexact(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = post(context.database, SHORT)
    run_queued_jobs(context)
    started = []
    for elsewhere in (False, True):
        if elsewhere:
            compute_elsewhere(monkeypatch)
        with context.database.read() as s:
            source, (saved, *_) = jobs.get(s, EVERYTHING, first), checkpoints.of_job(s, EVERYTHING, first)
        spec, origin = SHORT | {"start_from": {"job": first}}, start_of(source, saved)
        started.append(post(context.database, spec, warm_start=origin))
        run_queued_jobs(context)
    for job_id, exact in zip(started, (True, False), strict=True):
        job = row(context.database, job_id)
        assert (job.status, job.reproducible, job.inexact_reason is None) == (Status.SUCCEEDED, True, exact)
    (message,) = [one for one in messages(context, started[1]) if "not exact" in one]
    assert ELSEWHERE in message


def unknown_layer(context: WorkerContext, job_id: str) -> None:
    """Give the stored spec a layer that no version has."""
    spec = SHORT | {"architecture": {"layers": [{"type": "layer_of_the_future"}]}}
    with context.database.begin() as s:
        s.execute(update(Spec).where(Spec.job_id == job_id).values(json=json.dumps(spec)))


def unknown_field(context: WorkerContext, job_id: str) -> None:
    """Give the stored spec a field that no version has."""
    with context.database.begin() as s:
        s.execute(update(Spec).where(Spec.job_id == job_id).values(json=json.dumps(SHORT | {"field_of_the_future": 1})))


def unknown_format(context: WorkerContext, job_id: str) -> None:
    """Give the checkpoint another format."""
    rewrite(context, job_id, lambda header: header | {"format": "chainrule-checkpoint/99", "version": "9.0.0"})


def unknown_counters(context: WorkerContext, job_id: str) -> None:
    """Take a part of the checkpoint's state away."""
    rewrite(context, job_id, lambda header: header | {"counters": {}})


def rewrite(context: WorkerContext, job_id: str, change: Any) -> None:
    """Change the header of the job's newest checkpoint."""
    with context.database.read() as s:
        found = checkpoints.latest(s, job_id)
    assert found is not None
    data = context.blobs.read(found.sha256)
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    header["__metadata__"]["chainrule"] = json.dumps(change(json.loads(header["__metadata__"]["chainrule"])))
    text = json.dumps(header).encode()
    sha256 = context.blobs.put(len(text).to_bytes(8, "little") + text + data[8 + length :])
    with context.database.begin() as s:
        s.execute(update(Checkpoint).where(Checkpoint.id == found.id).values(sha256=sha256))


@pytest.mark.parametrize("change", [unknown_layer, unknown_field, unknown_format, unknown_counters])
def test_job_of_another_version_waits_and_does_not_fail(context: WorkerContext, change: Any) -> None:
    job_id = paused(context)
    change(context, job_id)
    rows = metric_rows(context.database, job_id)
    job = resume(context, job_id)
    assert (job.status, job.error, job.vocabulary) == (Status.QUEUED, None, VOCABULARY + 1)
    assert job.version == f"newer than {THIS.version}"
    assert f"version {THIS.version}" in messages(context, job_id)[-1]
    assert metric_rows(context.database, job_id) == rows
    assert log_data(context.database, job_id) == []
    fence = job.fence
    run_queued_jobs(context)
    assert row(context.database, job_id).fence == fence, "no worker of this version claims it again"
    with context.database.begin() as s:
        jobs.cancel(s, EVERYTHING, job_id)
    assert statuses(context.database, job_id)[-2:] == ["queued", "cancelled"]
