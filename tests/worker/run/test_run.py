"""How runs end, in this process and over an embedded database."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.blobs.folder import Blobs
from core.data.prepare import signature
from core.jobs.resolve import resolve
from core.jobs.spec import JobSpec
from core.jobs.states import Keep, Status
from core.models.checkpoint import decode
from core.nn.execution.sharding import shards_worth
from core.store import checkpoints, jobs, leases
from core.store.scope import EVERYTHING
from core.store.tables import Checkpoint
from tests.worker.jobs import (
    DOUBLING,
    IMAGES,
    LONG,
    SPIRALS,
    a_desk,
    a_spec,
    post,
    remarks,
    row,
    saved_at,
    story,
    stream,
)
from worker.claim_loop import work
from worker.context import WorkerContext
from worker.run import checkpointer, writer
from worker.run import run as module
from worker.run.run import JobRun
from worker.run.writer import Writer


@pytest.fixture
def context(tmp_path: Path) -> Iterator[WorkerContext]:
    made = a_desk(tmp_path)
    yield made
    made.notifier.close()
    made.database.close()


def newest(context: WorkerContext, job_id: str) -> Checkpoint:
    with context.database.read() as s:
        found = checkpoints.latest(s, job_id)
    assert found is not None
    return found


def stop_at(monkeypatch: pytest.MonkeyPatch, context: WorkerContext, step: int, wish: Any) -> None:
    """Have `wish` happen at the first batch boundary at or after a step, and attention called at each."""
    watch = JobRun._watch
    happened: list[int] = []

    def watched(self: JobRun, item: Any) -> Any:
        if item is not None and item.step >= step and not happened:
            happened.append(item.step)
            wish()
            self._writer.write()
        ending = watch(self, item)
        self._writer.attention = not happened
        return ending

    monkeypatch.setattr(JobRun, "_watch", watched)


def test_a_loss_that_is_not_finite_ends_the_job_and_keeps_the_last_good_weights(context: WorkerContext) -> None:
    job_id = post(context.database, a_spec(DOUBLING | {"optimizer": {"type": "sgd", "learning_rate": 1e10}}))
    work(context)
    job = row(context.database, job_id)
    assert (job.status, job.stop_reason) == (Status.FAILED, "diverged")
    assert job.error is not None
    assert (job.error["code"], job.error["step"] - 1, bool(job.error["layer"])) == ("diverged", job.step, True)
    assert job.error["pointer"] is None or job.error["pointer"].startswith("/architecture/layers/")
    assert bool(job.error["rows"]) == bool(job.error["pointer"])
    assert saved_at(context.database, job_id) == [job.step]
    assert decode(context.blobs.read(newest(context, job_id).sha256)).state().step == job.step


def test_the_clock_ends_a_job_that_may_take_so_long(context: WorkerContext) -> None:
    job_id = post(context.database, a_spec(epochs=LONG, max_runtime=0.2))
    work(context)
    job = row(context.database, job_id)
    assert (job.status, job.stop_reason) == (Status.SUCCEEDED, "max_runtime")
    assert saved_at(context.database, job_id) == [job.step]


@pytest.mark.parametrize(
    ("error", "code"), [(MemoryError(), "out_of_memory"), (RuntimeError("secret"), "internal_error")]
)
def test_what_goes_wrong_is_told_without_its_trace(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch, error: Exception, code: str
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(module, "Learner", broken)
    job_id = post(context.database, a_spec())
    work(context)
    job = row(context.database, job_id)
    assert job.error is not None
    assert (job.status, job.error["code"], "secret" in str(job.error)) == (Status.FAILED, code, False)


def test_weights_that_cannot_be_written_end_the_job_as_failed(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> str:
        raise OSError(28, "No space left on device", "/somewhere/secret")

    monkeypatch.setattr(Blobs, "put", full)
    job_id = post(context.database, a_spec())
    work(context)
    job = row(context.database, job_id)
    assert job.error is not None
    assert (job.status, job.error["code"], "secret" in str(job.error)) == (Status.FAILED, "storage_failed", False)


@pytest.mark.parametrize(("threads", "base", "batch", "step"), [(1, SPIRALS, 7, 60), (2, IMAGES, 32, 5)])
def test_a_job_is_paused_at_a_batch_and_goes_on_bit_for_bit(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch, threads: int, base: dict[str, Any], batch: int, step: int
) -> None:
    spec = a_spec(base, epochs=4, batch_size=batch, shuffle=True)
    parsed = JobSpec.model_validate_json(json.dumps(spec))
    network = resolve(parsed, signature(parsed.data, None)).network
    assert shards_worth(network, batch, threads) == threads
    calm = post(context.database, spec, threads=threads)
    work(context)
    job_id = post(context.database, spec, threads=threads)

    def pause() -> None:
        with context.database.begin() as s:
            jobs.pause(s, EVERYTHING, job_id)

    with monkeypatch.context() as patch:
        stop_at(patch, context, step, pause)
        work(context)
    paused = row(context.database, job_id)
    assert (paused.status, paused.step, saved_at(context.database, job_id)) == (Status.PAUSED, step, [step])
    with context.database.begin() as s:
        jobs.resume(s, EVERYTHING, job_id)
    work(context)
    assert row(context.database, job_id).weights_sha256 == row(context.database, calm).weights_sha256
    assert stream(context.database, job_id) == stream(context.database, calm)


@pytest.mark.parametrize("epochs", [30, LONG])
def test_more_rows_than_were_allowed_end_the_job(context: WorkerContext, epochs: int) -> None:
    spec = a_spec(epochs=epochs, log_every=1)
    allowed = post(context.database, a_spec(epochs=10) | {"limits": {"rows": 40}})
    job_id = post(context.database, spec | {"limits": {"rows": 41, "checkpoints": 1}})
    work(context)
    assert (row(context.database, allowed).status, len(stream(context.database, allowed))) == (Status.SUCCEEDED, 40)
    job = row(context.database, job_id)
    assert job.error is not None
    assert (job.status, job.error["code"], job.error["limit"]) == (Status.FAILED, "limit_exceeded", "rows")
    assert len(stream(context.database, job_id)) == 41
    assert saved_at(context.database, job_id) == [job.step]


@pytest.mark.parametrize("kept", [1, 2])
def test_as_many_checkpoints_are_kept_as_were_asked_for(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    monkeypatch.setattr(checkpointer, "AT_EPOCHS", 0.0)
    monkeypatch.setattr(checkpointer, "SPACING", 0)
    job_id = post(context.database, a_spec(SPIRALS, epochs=6, batch_size=30) | {"limits": {"checkpoints": kept}})
    stop_at(monkeypatch, context, 10, lambda: None)
    work(context)
    assert len(saved_at(context.database, job_id)) == kept


@pytest.mark.parametrize("keep", list(Keep))
def test_cancel_takes_effect_at_the_next_batch(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch, keep: Keep
) -> None:
    job_id = post(context.database, a_spec(epochs=LONG))

    def cancel() -> None:
        with context.database.begin() as s:
            jobs.cancel(s, EVERYTHING, job_id, keep)

    stop_at(monkeypatch, context, 60, cancel)
    work(context)
    job = row(context.database, job_id)
    assert (job.status, job.stop_reason, job.step) == (Status.CANCELLED, "cancelled", 60)
    assert saved_at(context.database, job_id) == ([] if keep is Keep.NONE else [60])


@pytest.mark.parametrize("wish", [jobs.cancel, jobs.pause], ids=["cancel", "pause"])
def test_a_wish_is_heard_with_the_next_write_and_granted_at_the_next_batch(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch, wish: Any
) -> None:
    """The writer writes each quarter of a second, whatever the batches take; told here by the order of events."""
    job_id = post(context.database, a_spec(epochs=LONG))
    heard: list[tuple[bool, int]] = []
    tick = Writer._tick

    def ticked(self: Writer) -> None:
        asked = bool(heard)
        if not asked and (self._progress is not None and self._progress.begun):
            with context.database.begin() as s:
                wish(s, job_id)
            asked = True
        tick(self)
        if asked:
            heard.append((self.leased_job.request is not None, self._progress._state.step if self._progress else 0))

    monkeypatch.setattr(Writer, "_tick", ticked)
    work(context)
    job = row(context.database, job_id)
    assert job.status in {Status.CANCELLED, Status.PAUSED}
    first_write_hears, step_then = heard[0]
    assert first_write_hears
    assert job.step <= step_then + 1
    assert writer.PACE == 0.25


def test_a_worker_that_lost_its_job_writes_nothing_more(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = post(context.database, a_spec(epochs=200))

    def lose() -> None:
        with context.database.begin() as s:
            job = jobs.get(s, EVERYTHING, job_id)
            leases.hand_back(s, job_id, job.fence, message="lost")
        context.stop.ask()  # so that it isn't claimed again here

    stop_at(monkeypatch, context, 60, lose)
    work(context)
    job = row(context.database, job_id)
    assert (job.status, job.lost_workers, saved_at(context.database, job_id)) == (Status.QUEUED, 1, [])
    assert story(context.database, job_id) == ["queued", "running", "queued"]


@pytest.mark.parametrize("damage", ["cut", "turned", "removed"])
def test_a_damaged_checkpoint_is_passed_over(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    monkeypatch.setattr(checkpointer, "AT_EPOCHS", 0.0)
    monkeypatch.setattr(checkpointer, "SPACING", 0)
    spec = a_spec(SPIRALS, epochs=6, batch_size=30, shuffle=True)
    calm = post(context.database, spec)
    work(context)
    job_id = post(context.database, spec)

    def pause() -> None:
        with context.database.begin() as s:
            jobs.pause(s, EVERYTHING, job_id)

    with monkeypatch.context() as patch:
        stop_at(patch, context, 45, pause)
        work(context)
    last, before = saved_at(context.database, job_id)
    assert (last, before) == (45, 40)
    file = context.blobs.path(newest(context, job_id).sha256)
    data = file.read_bytes()
    if damage == "removed":
        file.unlink()
    else:
        file.write_bytes(data[:-9] if damage == "cut" else data[:-1] + bytes([data[-1] ^ 1]))
    with context.database.begin() as s:
        jobs.resume(s, EVERYTHING, job_id)
        said_before = len(jobs.transitions(s, EVERYTHING, job_id))
    work(context)
    with context.database.read() as s:
        said = [transition.message for transition in jobs.transitions(s, EVERYTHING, job_id)[said_before:]]
    assert any("damaged" in message and "step 40" in message for message in said), said
    assert row(context.database, job_id).weights_sha256 == row(context.database, calm).weights_sha256
    assert stream(context.database, job_id) == stream(context.database, calm)
    assert remarks(context.database, job_id) == []


def test_checkpoints_are_spaced_by_their_cost(context: WorkerContext, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job of many tiny epochs leaves a checkpoint at its end alone."""
    put: list[bytes] = []
    original = Blobs.put

    def counted(self: Blobs, data: bytes) -> str:
        put.append(data)
        return original(self, data)

    monkeypatch.setattr(Blobs, "put", counted)
    monkeypatch.setattr(checkpointer, "AT_EPOCHS", 3600.0)
    post(context.database, a_spec(epochs=300))
    work(context)
    assert len(put) == 1


def test_a_stale_bell_does_nothing(context: WorkerContext) -> None:
    job_id = post(context.database, a_spec(epochs=3))
    work(context)
    before = story(context.database, job_id), stream(context.database, job_id)
    work(context)
    assert (story(context.database, job_id), stream(context.database, job_id)) == before


def test_one_bell_serves_all_that_waits(context: WorkerContext) -> None:
    waiting = [post(context.database, a_spec(epochs=3)) for _ in range(3)]
    work(context)
    assert [row(context.database, job_id).status for job_id in waiting] == [Status.SUCCEEDED] * 3


def test_a_worker_that_has_to_end_claims_nothing(context: WorkerContext) -> None:
    job_id = post(context.database, a_spec())
    context.stop.ask()
    work(context)
    assert story(context.database, job_id) == ["queued"]
