"""Real worker processes, embedded and on Postgres with Redis, which are killed, shut down and sent requests."""

import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from core.jobs.states import Keep, Status
from core.queue.notifier import Notifier
from core.store import jobs
from core.store.database import Database, open_database
from core.store.events import MetricRow
from core.store.scope import EVERYTHING
from core.store.tables import Job
from harness.backends import postgres_database, redis_database
from harness.processes import Processes, child_pids, free_port, processes
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
    post_continuation,
    row,
    statuses,
)
from worker.claim_loop import run_queued_jobs
from worker.liveness import alive, liveness_folder

SECONDS_OF_TRAINING = a_spec(SPIRALS, epochs=500, batch_size=10, shuffle=True)
SPLIT_BATCHES = a_spec(IMAGES, epochs=400, batch_size=32, shuffle=True)
ENDLESS = a_spec(SPIRALS, epochs=LONG, batch_size=10, shuffle=True)


@dataclass
class Deployment:
    """Processes, and the test's own connections to their database and broker."""

    processes: Processes
    database: Database
    notifier: Notifier

    def post(self, spec: dict[str, object]) -> str:
        job_id = post(self.database, spec)
        self.notifier.notify()
        return job_id

    def row(self, job_id: str) -> Job:
        return row(self.database, job_id)

    def until(self, job_id: str, reached: Callable[[Job], bool], what: str) -> Job:
        self.processes.until(lambda: reached(self.row(job_id)), f"the job {what}")
        return self.row(job_id)

    def ended(self, job_id: str, status: Status = Status.SUCCEEDED) -> Job:
        job = self.until(job_id, lambda job: job.ended_at is not None, "ends")
        assert job.status is status, (job.error, self.processes.output())
        return job

    def child(self, job_id: str) -> int:
        """Return the process that trains the job."""
        return int((self.row(job_id).worker or "").split(":")[3])


KINDS = ["embedded", "postgres and redis"]


@contextmanager
def a_deployment(kind: str, folder: Path, **settings: object) -> Iterator[Deployment]:
    with ExitStack() as stack:
        urls: dict[str, str] = {}
        if kind != "embedded":
            urls["database_url"] = stack.enter_context(postgres_database())
            urls["broker_url"] = stack.enter_context(redis_database())
        running = stack.enter_context(processes(folder, **urls, **settings))
        database = open_database(running.settings.resolved_database_url)
        stack.callback(database.close)
        notifier = Notifier(running.settings)
        stack.callback(notifier.close)
        yield Deployment(running, database, notifier)


@pytest.fixture(scope="module", params=KINDS)
def deployment(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Start a deployment with a worker, which no test ends."""
    with a_deployment(request.param, tmp_path_factory.mktemp("deployment")) as shared:
        shared.processes.start_worker()
        yield shared


@pytest.fixture
def workerless(tmp_path: Path) -> Iterator[Deployment]:
    """Start an embedded deployment without a worker for one test."""
    with a_deployment("embedded", tmp_path) as own:
        yield own


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[str | None, list[MetricRow]]:
    """Return the result of a job without faults, trained in this process."""
    return train_undisturbed(tmp_path_factory, SECONDS_OF_TRAINING)


@pytest.fixture(scope="module")
def undisturbed_split(tmp_path_factory: pytest.TempPathFactory) -> tuple[str | None, list[MetricRow]]:
    """Return the same for a job whose batches are split between two processes."""
    return train_undisturbed(tmp_path_factory, SPLIT_BATCHES, threads=2)


def train_undisturbed(
    folders: pytest.TempPathFactory, spec: dict[str, object], threads: int = 1
) -> tuple[str | None, list[MetricRow]]:
    context = a_context(folders.mktemp("undisturbed"))
    job_id = post(context.database, spec, threads=threads)
    run_queued_jobs(context)
    return fingerprint(context.database, job_id)


def _claimed(fence: int, job: Job) -> bool:
    return job.fence == fence and job.worker is not None


def _past(step: int, job: Job) -> bool:
    return job.step > step


def fingerprint(database: Database, job_id: str) -> tuple[str | None, list[MetricRow]]:
    """Return what an interruption must not change."""
    return row(database, job_id).weights_sha256, metric_rows(database, job_id)


def test_job_runs_from_queued_to_succeeded(deployment: Deployment) -> None:
    job = deployment.ended(deployment.post(a_spec()))
    assert statuses(deployment.database, job.id) == ["queued", "running", "succeeded"]
    assert (job.stop_reason, job.step, job.epoch) == ("epochs_completed", 100, 100)
    assert checkpoint_steps(deployment.database, job.id) == [100]
    assert sum(found.name == "loss" for found in metric_rows(deployment.database, job.id)) == 100


def test_job_killed_and_paused_ends_as_an_undisturbed_one(
    deployment: Deployment, undisturbed: tuple[str | None, list[MetricRow]]
) -> None:
    job_id = deployment.post(SECONDS_OF_TRAINING)
    deployment.until(job_id, lambda job: job.step > 500, "trains")
    os.kill(deployment.child(job_id), signal.SIGKILL)
    deployment.until(job_id, lambda job: job.fence >= 3 and job.step > 0, "is claimed again")
    with deployment.database.begin() as s:
        jobs.pause(s, EVERYTHING, job_id)
    paused = deployment.until(job_id, lambda job: job.status is Status.PAUSED, "is paused")
    assert checkpoint_steps(deployment.database, job_id)[0] == paused.step
    with deployment.database.begin() as s:
        jobs.resume(s, EVERYTHING, job_id)
    deployment.notifier.notify()
    deployment.ended(job_id)
    assert statuses(deployment.database, job_id) == [
        "queued", "running", "queued", "running", "pausing", "paused", "queued", "running", "succeeded",
    ]  # fmt: skip
    assert fingerprint(deployment.database, job_id) == undisturbed
    assert log_data(deployment.database, job_id) == []


def test_continued_job_killed_meanwhile_ends_as_one_long_job(
    deployment: Deployment, undisturbed: tuple[str | None, list[MetricRow]]
) -> None:
    first = deployment.ended(deployment.post(a_spec(SPIRALS, epochs=200, batch_size=10, shuffle=True)))
    job_id = post_continuation(deployment.database, first.id, 300)
    deployment.notifier.notify()
    deployment.until(job_id, partial(_past, first.step + 300), "trains on")
    os.kill(deployment.child(job_id), signal.SIGKILL)
    job = deployment.ended(job_id)
    assert (job.fence, job.epoch, job.weights_sha256) == (3, 500, undisturbed[0])
    assert metric_rows(deployment.database, job_id) == [row for row in undisturbed[1] if row.step > first.step]
    assert log_data(deployment.database, job_id) == []


def runs(process: int) -> bool:
    """Return whether the process exists and is no zombie."""
    status = Path(f"/proc/{process}/status")
    return status.exists() and "State:\tZ" not in status.read_text()


@pytest.mark.parametrize("killed", ["shard process", "child"])
def test_job_survives_a_killed_shard_process_and_leaves_none_behind(
    deployment: Deployment, undisturbed_split: tuple[str | None, list[MetricRow]], killed: str
) -> None:
    job_id = post(deployment.database, SPLIT_BATCHES, threads=2)
    deployment.notifier.notify()
    deployment.until(job_id, partial(_past, 20), "trains")
    child = deployment.child(job_id)
    (shard_process,) = child_pids(child)
    os.kill({"shard process": shard_process, "child": child}[killed], signal.SIGKILL)
    job = deployment.ended(job_id)
    assert (job.fence, runs(shard_process)) == (3, False)
    assert fingerprint(deployment.database, job_id) == undisturbed_split


@pytest.mark.parametrize("keep", [Keep.LAST, Keep.NONE])
def test_cancel_keeps_the_requested_checkpoint(deployment: Deployment, keep: Keep) -> None:
    job_id = deployment.post(ENDLESS)
    deployment.until(job_id, lambda job: job.best is not None, "has a best epoch")
    with deployment.database.begin() as s:
        jobs.cancel(s, EVERYTHING, job_id, keep)
    job = deployment.ended(job_id, Status.CANCELLED)
    assert job.stop_reason == "cancelled"
    assert bool(checkpoint_steps(deployment.database, job_id)) is (keep is not Keep.NONE)


def test_job_without_a_notification_is_found(deployment: Deployment) -> None:
    assert deployment.ended(post(deployment.database, a_spec())).step == 100


def test_extra_notifications_have_no_effect(deployment: Deployment) -> None:
    for _ in range(10):
        deployment.notifier.notify()
    job = deployment.ended(deployment.post(a_spec()))
    assert statuses(deployment.database, job.id) == ["queued", "running", "succeeded"]


def test_job_that_kills_three_workers_fails(workerless: Deployment) -> None:
    workerless.processes.start_worker()
    job_id = workerless.post(ENDLESS)
    for fence in (1, 3, 5):
        workerless.until(job_id, partial(_claimed, fence), "is claimed")
        os.kill(workerless.child(job_id), signal.SIGKILL)
    job = workerless.ended(job_id, Status.FAILED)
    assert job.error is not None
    assert (job.error["code"], job.error["signal"]) == ("worker_lost", "SIGKILL")
    assert 0 < job.error["job_bytes"] == job.memory_bytes < job.error["machine_bytes"]
    assert workerless.ended(workerless.post(a_spec())).step == 100


def test_worker_requeues_its_job_on_sigterm_and_another_resumes_it(
    workerless: Deployment, undisturbed: tuple[str | None, list[MetricRow]]
) -> None:
    """A process manager may signal only the parent, or parent and children."""
    folder = liveness_folder(workerless.processes.settings.data_dir)
    job_id = workerless.post(SECONDS_OF_TRAINING)
    for end in (os.kill, os.killpg):
        worker = workerless.processes.start_worker()
        step = workerless.row(job_id).step
        workerless.until(job_id, partial(_past, step), "trains")
        assert alive(folder)
        end(worker.pid, signal.SIGTERM)
        assert worker.wait(20) == 0
        assert not alive(folder)
        job = workerless.row(job_id)
        assert (job.status, job.lost_workers) == (Status.QUEUED, 0)
        assert checkpoint_steps(workerless.database, job_id)[0] == job.step
    worker = workerless.processes.start_worker()
    workerless.ended(job_id)
    assert fingerprint(workerless.database, job_id) == undisturbed

    job_id = workerless.post(ENDLESS)
    workerless.until(job_id, lambda job: job.step > 0, "trains")
    child = workerless.child(job_id)
    worker.kill()
    worker.wait()
    workerless.processes.until(lambda: not Path(f"/proc/{child}").exists(), "no child outlives a killed worker")


def test_worker_whose_child_does_not_end_exits_in_time_and_another_resumes_its_job(tmp_path: Path) -> None:
    with a_deployment("embedded", tmp_path, shutdown_seconds=1, lease_seconds=1) as own:
        worker = own.processes.start_worker()
        job_id = own.post(ENDLESS)
        own.until(job_id, lambda job: job.step > 0, "trains")
        child = own.child(job_id)
        os.kill(child, signal.SIGSTOP)
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(20) == 1
        own.processes.until(lambda: not runs(child), "the kernel kills the child")
        own.processes.start_worker()
        own.until(job_id, lambda job: job.fence >= 3 and job.step > 0, "is claimed again")


def test_sigterm_while_waiting_for_the_broker_ends_the_worker_cleanly(tmp_path: Path) -> None:
    with processes(tmp_path, broker_url=f"redis://127.0.0.1:{free_port()}/0") as running:
        worker = running.start("worker")
        running.until(lambda: "Cannot connect to redis" in running.output(), "it waits for the broker", worker)
        worker.send_signal(signal.SIGTERM)
        code = worker.wait(30)
        output = running.output()
        assert (code, "Traceback" in output) == (0, False), output


def test_check_reports_liveness_by_its_exit_code(tmp_path: Path) -> None:
    with processes(tmp_path) as running:
        assert running.start("worker", "--check").wait(20) == 1
        folder = liveness_folder(running.settings.data_dir)
        folder.mkdir()
        (folder / f"{socket.gethostname()}-1").touch()
        assert running.start("worker", "--check").wait(20) == 0


def test_worker_names_the_command_for_a_database_at_another_migration(tmp_path: Path) -> None:
    with processes(tmp_path, database_url=f"sqlite:///{tmp_path / 'empty.db'}") as running:
        (tmp_path / "empty.db").unlink()
        worker: subprocess.Popen[bytes] = running.start("worker")
        assert worker.wait(20) == 1
        (line,) = (tmp_path / "worker-0.log").read_text().splitlines()
        assert "chainrule migrate" in line
