"""Outcomes of runs in this process, with an embedded database."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.blobs.folder import FolderBlobs
from core.data.prepare import signature
from core.jobs.examples import DOUBLING
from core.jobs.resolve import resolve
from core.jobs.spec import JobSpec
from core.jobs.states import Keep, Status
from core.models.checkpoint import decode
from core.nn.execution.segments import shard_count
from core.store import checkpoints, jobs, leases
from core.store.scope import EVERYTHING
from core.store.tables import Checkpoint
from tests.worker.jobs import (
    IMAGES,
    LONG,
    SPIRALS,
    a_context,
    a_spec,
    checkpoint_steps,
    log_data,
    metric_rows,
    post,
    row,
    statuses,
)
from worker.claim_loop import run_queued_jobs
from worker.context import WorkerContext
from worker.run import checkpointer, writer
from worker.run import run as module
from worker.run.run import JobRun
from worker.run.writer import Writer


@pytest.fixture
def context(tmp_path: Path) -> Iterator[WorkerContext]:
    made = a_context(tmp_path)
    yield made
    made.notifier.close()
    made.database.close()


def newest(context: WorkerContext, job_id: str) -> Checkpoint:
    with context.database.read() as s:
        found = checkpoints.latest(s, job_id)
    assert found is not None
    return found


def act_at(monkeypatch: pytest.MonkeyPatch, step: int, act: Any) -> None:
    """Call `act` at the first batch boundary at or after a step, and check at every boundary."""
    check = JobRun._check
    acted: list[int] = []

    def check_and_act(self: JobRun, item: Any) -> Any:
        if item is not None and item.step >= step and not acted:
            acted.append(item.step)
            act()
            self._writer.write()
        outcome = check(self, item)
        self._writer.needs_check = not acted
        return outcome

    monkeypatch.setattr(JobRun, "_check", check_and_act)


def test_diverged_job_fails_and_keeps_the_last_finite_weights(context: WorkerContext) -> None:
    job_id = post(context.database, a_spec(DOUBLING | {"optimizer": {"type": "sgd", "learning_rate": 1e10}}))
    run_queued_jobs(context)
    job = row(context.database, job_id)
    assert (job.status, job.stop_reason) == (Status.FAILED, "diverged")
    assert job.error is not None
    assert (job.error["code"], job.error["step"] - 1, bool(job.error["layer"])) == ("diverged", job.step, True)
    assert job.error["pointer"] is None or job.error["pointer"].startswith("/architecture/layers/")
    assert bool(job.error["rows"]) == bool(job.error["pointer"])
    assert checkpoint_steps(context.database, job_id) == [job.step]
    assert decode(context.blobs.read(newest(context, job_id).sha256)).state().step == job.step


def test_max_runtime_ends_a_job(context: WorkerContext) -> None:
    job_id = post(context.database, a_spec(epochs=LONG, max_runtime=0.2))
    run_queued_jobs(context)
    job = row(context.database, job_id)
    assert (job.status, job.stop_reason) == (Status.SUCCEEDED, "max_runtime")
    assert checkpoint_steps(context.database, job_id) == [job.step]


@pytest.mark.parametrize(
    ("error", "code"), [(MemoryError(), "out_of_memory"), (RuntimeError("secret"), "internal_error")]
)
def test_internal_error_is_reported_without_details(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch, error: Exception, code: str
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(module, "Learner", broken)
    job_id = post(context.database, a_spec())
    run_queued_jobs(context)
    job = row(context.database, job_id)
    assert job.error is not None
    assert (job.status, job.error["code"], "secret" in str(job.error)) == (Status.FAILED, code, False)


def test_job_fails_when_its_weights_cannot_be_written(context: WorkerContext, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> str:
        raise OSError(28, "No space left on device", "/somewhere/secret")

    monkeypatch.setattr(FolderBlobs, "put", full)
    job_id = post(context.database, a_spec())
    run_queued_jobs(context)
    job = row(context.database, job_id)
    assert job.error is not None
    assert (job.status, job.error["code"], "secret" in str(job.error)) == (Status.FAILED, "storage_failed", False)


@pytest.mark.parametrize(("threads", "base", "batch", "step"), [(1, SPIRALS, 7, 60), (2, IMAGES, 32, 5)])
def test_paused_job_resumes_bit_for_bit(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch, threads: int, base: dict[str, Any], batch: int, step: int
) -> None:
    spec = a_spec(base, epochs=4, batch_size=batch, shuffle=True)
    parsed = JobSpec.model_validate_json(json.dumps(spec))
    network = resolve(parsed, signature(parsed.data, None)).network
    assert shard_count(network, batch, threads) == threads
    undisturbed = post(context.database, spec, threads=threads)
    run_queued_jobs(context)
    job_id = post(context.database, spec, threads=threads)

    def pause() -> None:
        with context.database.begin() as s:
            jobs.pause(s, EVERYTHING, job_id)

    with monkeypatch.context() as patch:
        act_at(patch, step, pause)
        run_queued_jobs(context)
    paused = row(context.database, job_id)
    assert (paused.status, paused.step, checkpoint_steps(context.database, job_id)) == (Status.PAUSED, step, [step])
    with context.database.begin() as s:
        jobs.resume(s, EVERYTHING, job_id)
    run_queued_jobs(context)
    assert row(context.database, job_id).weights_sha256 == row(context.database, undisturbed).weights_sha256
    assert metric_rows(context.database, job_id) == metric_rows(context.database, undisturbed)


@pytest.mark.parametrize("epochs", [30, LONG])
def test_job_that_writes_too_many_rows_fails(context: WorkerContext, epochs: int) -> None:
    spec = a_spec(epochs=epochs, log_every=1)
    allowed = post(context.database, a_spec(epochs=10) | {"limits": {"rows": 40}})
    job_id = post(context.database, spec | {"limits": {"rows": 41, "checkpoints": 1}})
    run_queued_jobs(context)
    assert (row(context.database, allowed).status, len(metric_rows(context.database, allowed))) == (
        Status.SUCCEEDED,
        40,
    )
    job = row(context.database, job_id)
    assert job.error is not None
    assert (job.status, job.error["code"], job.error["limit"]) == (Status.FAILED, "limit_exceeded", "rows")
    assert len(metric_rows(context.database, job_id)) == 41
    assert checkpoint_steps(context.database, job_id) == [job.step]


def test_job_beyond_the_rows_of_the_service_trains_on_without_further_rows(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = post(context.database, a_spec(epochs=100))
    run_queued_jobs(context)
    limited = replace(context, settings=context.settings.model_copy(update={"max_job_rows": 41}))
    job_id = post(context.database, a_spec(epochs=100) | {"limits": {"rows": 500}})

    def pause() -> None:
        with context.database.begin() as s:
            jobs.pause(s, EVERYTHING, job_id)

    with monkeypatch.context() as patch:
        act_at(patch, 50, pause)
        run_queued_jobs(limited)
    assert row(context.database, job_id).status is Status.PAUSED
    with context.database.begin() as s:
        jobs.resume(s, EVERYTHING, job_id)
    run_queued_jobs(limited)
    ended, whole = row(context.database, job_id), row(context.database, undisturbed)
    assert (ended.status, ended.step, ended.latest) == (Status.SUCCEEDED, whole.step, whole.latest)
    assert ended.weights_sha256 == whole.weights_sha256
    assert metric_rows(context.database, job_id) == metric_rows(context.database, undisturbed)[:41]
    assert log_data(context.database, job_id) == [
        {
            "code": "rows_left_out",
            "rows": 41,
            "message": "the first 41 metric rows are stored and later ones are not; the training goes on: "
            "for fewer rows raise training.log_every or training.inspect_every",
        }
    ]


def test_checkpoints_that_cannot_be_written_are_logged_once(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpointer, "MIN_EPOCH_SECONDS", 0.0)
    monkeypatch.setattr(checkpointer, "MIN_SPACING_COSTS", 0)
    store, attempts = checkpointer.Checkpointer.store, []

    def fail(self: checkpointer.Checkpointer, state: Any, metrics: Any, reason: str, **options: Any) -> Any:
        attempts.append(reason)
        if options or len(attempts) % 4 == 0:
            return store(self, state, metrics, reason, **options)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpointer.Checkpointer, "store", fail)
    job_id = post(context.database, a_spec(SPIRALS, epochs=7, batch_size=30))
    monkeypatch.setattr(JobRun, "_check", _checking_at_every_boundary(JobRun._check))
    run_queued_jobs(context)
    assert attempts[:4] == ["epoch"] * 4
    messages = log_data(context.database, job_id)
    assert [one["message"] for one in messages] == ["a checkpoint could not be written: No space left on device"] * 2


def _checking_at_every_boundary(check: Any) -> Any:
    def check_again(self: JobRun, item: Any) -> Any:
        outcome = check(self, item)
        self._writer.needs_check = True
        return outcome

    return check_again


@pytest.mark.parametrize("kept", [1, 2])
def test_limit_of_checkpoints_is_kept(context: WorkerContext, monkeypatch: pytest.MonkeyPatch, kept: int) -> None:
    monkeypatch.setattr(checkpointer, "MIN_EPOCH_SECONDS", 0.0)
    monkeypatch.setattr(checkpointer, "MIN_SPACING_COSTS", 0)
    job_id = post(context.database, a_spec(SPIRALS, epochs=6, batch_size=30) | {"limits": {"checkpoints": kept}})
    act_at(monkeypatch, 10, lambda: None)
    run_queued_jobs(context)
    assert len(checkpoint_steps(context.database, job_id)) == kept


@pytest.mark.parametrize("keep", list(Keep))
def test_cancel_takes_effect_at_the_next_batch(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch, keep: Keep
) -> None:
    job_id = post(context.database, a_spec(epochs=LONG))

    def cancel() -> None:
        with context.database.begin() as s:
            jobs.cancel(s, EVERYTHING, job_id, keep)

    act_at(monkeypatch, 60, cancel)
    run_queued_jobs(context)
    job = row(context.database, job_id)
    assert (job.status, job.stop_reason, job.step) == (Status.CANCELLED, "cancelled", 60)
    assert checkpoint_steps(context.database, job_id) == ([] if keep is Keep.NONE else [60])


@pytest.mark.parametrize("request_job", [jobs.cancel, jobs.pause], ids=["cancel", "pause"])
def test_request_is_read_with_the_next_write_and_obeyed_at_the_next_batch(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch, request_job: Any
) -> None:
    """The writer writes every quarter of a second, however long batches take; the order of events shows it."""
    job_id = post(context.database, a_spec(epochs=LONG))
    writes: list[tuple[bool, int]] = []
    tick = Writer._tick

    def ask_and_tick(self: Writer) -> None:
        asked = bool(writes)
        if not asked and (self._progress is not None and self._progress.begun):
            with context.database.begin() as s:
                request_job(s, EVERYTHING, job_id)
            asked = True
        tick(self)
        if asked:
            writes.append((self.leased_job.request is not None, self._progress._state.step if self._progress else 0))

    monkeypatch.setattr(Writer, "_tick", ask_and_tick)
    run_queued_jobs(context)
    job = row(context.database, job_id)
    assert job.status in {Status.CANCELLED, Status.PAUSED}
    request_read, step_then = writes[0]
    assert request_read
    assert job.step <= step_then + 1
    assert writer.WRITE_SECONDS == 0.25


def test_run_that_lost_its_lease_writes_nothing_more(context: WorkerContext, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = post(context.database, a_spec(epochs=200))

    def lose() -> None:
        with context.database.begin() as s:
            job = jobs.get(s, EVERYTHING, job_id)
            leases.requeue_lost(s, job_id, job.fence, message="lost")
        context.stop.ask()  # so that this worker does not claim it again

    act_at(monkeypatch, 60, lose)
    run_queued_jobs(context)
    job = row(context.database, job_id)
    assert (job.status, job.lost_workers, checkpoint_steps(context.database, job_id)) == (Status.QUEUED, 1, [])
    assert statuses(context.database, job_id) == ["queued", "running", "queued"]


@pytest.mark.parametrize("damage", ["truncated", "flipped bit", "removed"])
def test_damaged_checkpoint_is_replaced_by_the_previous_one(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    monkeypatch.setattr(checkpointer, "MIN_EPOCH_SECONDS", 0.0)
    monkeypatch.setattr(checkpointer, "MIN_SPACING_COSTS", 0)
    spec = a_spec(SPIRALS, epochs=6, batch_size=30, shuffle=True)
    undisturbed = post(context.database, spec)
    run_queued_jobs(context)
    job_id = post(context.database, spec)

    def pause() -> None:
        with context.database.begin() as s:
            jobs.pause(s, EVERYTHING, job_id)

    with monkeypatch.context() as patch:
        act_at(patch, 45, pause)
        run_queued_jobs(context)
    last, before = checkpoint_steps(context.database, job_id)
    assert (last, before) == (45, 40)
    file = context.blobs.path(newest(context, job_id).sha256)
    data = file.read_bytes()
    if damage == "removed":
        file.unlink()
    else:
        file.write_bytes(data[:-9] if damage == "truncated" else data[:-1] + bytes([data[-1] ^ 1]))
    with context.database.begin() as s:
        jobs.resume(s, EVERYTHING, job_id)
        count_before = len(jobs.transitions(s, EVERYTHING, job_id))
    run_queued_jobs(context)
    with context.database.read() as s:
        messages = [transition.message for transition in jobs.transitions(s, EVERYTHING, job_id)[count_before:]]
    assert any("damaged" in message and "step 40" in message for message in messages), messages
    assert row(context.database, job_id).weights_sha256 == row(context.database, undisturbed).weights_sha256
    assert metric_rows(context.database, job_id) == metric_rows(context.database, undisturbed)
    assert log_data(context.database, job_id) == []


def test_checkpoints_are_spaced_by_their_cost(context: WorkerContext, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job of many short epochs writes only the checkpoint at its end."""
    put: list[bytes] = []
    original = FolderBlobs.put

    def counted(self: FolderBlobs, data: bytes) -> str:
        put.append(data)
        return original(self, data)

    monkeypatch.setattr(FolderBlobs, "put", counted)
    monkeypatch.setattr(checkpointer, "MIN_EPOCH_SECONDS", 3600.0)
    post(context.database, a_spec(epochs=300))
    run_queued_jobs(context)
    assert len(put) == 1


def test_stale_notification_has_no_effect(context: WorkerContext) -> None:
    job_id = post(context.database, a_spec(epochs=3))
    run_queued_jobs(context)
    before = statuses(context.database, job_id), metric_rows(context.database, job_id)
    run_queued_jobs(context)
    assert (statuses(context.database, job_id), metric_rows(context.database, job_id)) == before


def test_one_notification_serves_all_queued_jobs(context: WorkerContext) -> None:
    waiting = [post(context.database, a_spec(epochs=3)) for _ in range(3)]
    run_queued_jobs(context)
    assert [row(context.database, job_id).status for job_id in waiting] == [Status.SUCCEEDED] * 3


def test_worker_that_shuts_down_claims_nothing(context: WorkerContext) -> None:
    job_id = post(context.database, a_spec())
    context.stop.ask()
    run_queued_jobs(context)
    assert statuses(context.database, job_id) == ["queued"]
