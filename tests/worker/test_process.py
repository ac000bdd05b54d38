"""A real worker process, embedded and on Postgres with Redis: what it promises when it is killed, stopped and asked."""

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
from harness.processes import Processes, forked_by, free_port, processes
from tests.worker.jobs import IMAGES, LONG, SPIRALS, a_desk, a_spec, more, post, remarks, row, saved_at, story, stream
from worker.claim_loop import work
from worker.liveness import alive, liveness_folder

SECONDS_OF_TRAINING = a_spec(SPIRALS, epochs=500, batch_size=10, shuffle=True)
IN_HALVES = a_spec(IMAGES, epochs=400, batch_size=32, shuffle=True)
FOR_EVER = a_spec(SPIRALS, epochs=LONG, batch_size=10, shuffle=True)


@dataclass
class Place:
    """Processes, and a door of the test's own to their database."""

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
        assert job.status is status, (job.error, self.processes.said())
        return job

    def child(self, job_id: str) -> int:
        """The process that trains the job."""
        return int((self.row(job_id).worker or "").split(":")[3])


PLACES = ["embedded", "postgres and redis"]


@contextmanager
def a_place(kind: str, folder: Path) -> Iterator[Place]:
    with ExitStack() as stack:
        urls = {}
        if kind != "embedded":
            urls["database_url"] = stack.enter_context(postgres_database())
            urls["broker_url"] = stack.enter_context(redis_database())
        running = stack.enter_context(processes(folder, **urls))
        database = open_database(running.settings.resolved_database_url)
        stack.callback(database.close)
        notifier = Notifier(running.settings)
        stack.callback(notifier.close)
        yield Place(running, database, notifier)


@pytest.fixture(scope="module", params=PLACES)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A place where a worker works; no test ends it."""
    with a_place(request.param, tmp_path_factory.mktemp("place")) as shared:
        shared.processes.start_worker()
        yield shared


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Place]:
    """A place of a test's own, embedded, where nothing works yet."""
    with a_place("embedded", tmp_path) as own:
        yield own


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[str | None, list[MetricRow]]:
    """What a job ends with that nothing happened to, trained in this very process."""
    return in_peace(tmp_path_factory, SECONDS_OF_TRAINING)


@pytest.fixture(scope="module")
def undisturbed_halves(tmp_path_factory: pytest.TempPathFactory) -> tuple[str | None, list[MetricRow]]:
    """The same of one whose batches two processes take half each."""
    return in_peace(tmp_path_factory, IN_HALVES, threads=2)


def in_peace(
    folders: pytest.TempPathFactory, spec: dict[str, object], threads: int = 1
) -> tuple[str | None, list[MetricRow]]:
    context = a_desk(folders.mktemp("undisturbed"))
    job_id = post(context.database, spec, threads=threads)
    work(context)
    return fingerprint(context.database, job_id)


def _claimed(fence: int, job: Job) -> bool:
    return job.fence == fence and job.worker is not None


def _past(step: int, job: Job) -> bool:
    return job.step > step


def fingerprint(database: Database, job_id: str) -> tuple[str | None, list[MetricRow]]:
    """What an interruption must not change."""
    return row(database, job_id).weights_sha256, stream(database, job_id)


def test_a_job_from_its_row_to_its_end(place: Place) -> None:
    job = place.ended(place.post(a_spec()))
    assert story(place.database, job.id) == ["queued", "running", "succeeded"]
    assert (job.stop_reason, job.step, job.epoch) == ("epochs_completed", 100, 100)
    assert saved_at(place.database, job.id) == [100]
    assert sum(found.name == "loss" for found in stream(place.database, job.id)) == 100


def test_killed_and_paused_it_ends_as_if_nothing_had_happened(
    place: Place, undisturbed: tuple[str | None, list[MetricRow]]
) -> None:
    job_id = place.post(SECONDS_OF_TRAINING)
    place.until(job_id, lambda job: job.step > 500, "trains")
    os.kill(place.child(job_id), signal.SIGKILL)
    place.until(job_id, lambda job: job.fence >= 3 and job.step > 0, "is claimed again")
    with place.database.begin() as s:
        jobs.pause(s, EVERYTHING, job_id)
    paused = place.until(job_id, lambda job: job.status is Status.PAUSED, "is paused")
    assert saved_at(place.database, job_id)[0] == paused.step
    with place.database.begin() as s:
        jobs.resume(s, EVERYTHING, job_id)
    place.notifier.notify()
    place.ended(job_id)
    assert story(place.database, job_id) == [
        "queued", "running", "queued", "running", "pausing", "paused", "queued", "running", "succeeded",
    ]  # fmt: skip
    assert fingerprint(place.database, job_id) == undisturbed
    assert remarks(place.database, job_id) == []


def test_continued_and_killed_on_its_way_it_ends_as_one_long_job(
    place: Place, undisturbed: tuple[str | None, list[MetricRow]]
) -> None:
    first = place.ended(place.post(a_spec(SPIRALS, epochs=200, batch_size=10, shuffle=True)))
    job_id = more(place.database, first.id, 300)
    place.notifier.notify()
    place.until(job_id, partial(_past, first.step + 300), "trains on")
    os.kill(place.child(job_id), signal.SIGKILL)
    job = place.ended(job_id)
    assert (job.fence, job.epoch, job.weights_sha256) == (3, 500, undisturbed[0])
    assert stream(place.database, job_id) == [row for row in undisturbed[1] if row.step > first.step]
    assert remarks(place.database, job_id) == []


def runs(process: int) -> bool:
    """Whether there is such a process that has not ended; where nobody asks how it did, it stays listed as a zombie."""
    status = Path(f"/proc/{process}/status")
    return status.exists() and "State:\tZ" not in status.read_text()


@pytest.mark.parametrize("killed", ["helper", "child"])
def test_a_job_whose_helper_is_killed_goes_on_and_no_helper_outlives_its_job(
    place: Place, undisturbed_halves: tuple[str | None, list[MetricRow]], killed: str
) -> None:
    job_id = post(place.database, IN_HALVES, threads=2)
    place.notifier.notify()
    place.until(job_id, partial(_past, 20), "trains")
    child = place.child(job_id)
    (helper,) = forked_by(child)
    os.kill({"helper": helper, "child": child}[killed], signal.SIGKILL)
    job = place.ended(job_id)
    assert (job.fence, runs(helper)) == (3, False)
    assert fingerprint(place.database, job_id) == undisturbed_halves


@pytest.mark.parametrize("keep", [Keep.LAST, Keep.NONE])
def test_cancel_keeps_what_was_asked_for(place: Place, keep: Keep) -> None:
    job_id = place.post(FOR_EVER)
    place.until(job_id, lambda job: job.best is not None, "has a best epoch")
    with place.database.begin() as s:
        jobs.cancel(s, EVERYTHING, job_id, keep)
    job = place.ended(job_id, Status.CANCELLED)
    assert job.stop_reason == "cancelled"
    assert bool(saved_at(place.database, job_id)) is (keep is not Keep.NONE)


def test_a_job_that_nobody_rang_for_is_found(place: Place) -> None:
    place.ended(post(place.database, a_spec()))


def test_bells_without_work_do_no_harm(place: Place) -> None:
    for _ in range(10):
        place.notifier.notify()
    job = place.ended(place.post(a_spec()))
    assert story(place.database, job.id) == ["queued", "running", "succeeded"]


def test_a_poisonous_job_does_not_kill_workers_for_ever(empty: Place) -> None:
    empty.processes.start_worker()
    job_id = empty.post(FOR_EVER)
    for fence in (1, 3, 5):
        empty.until(job_id, partial(_claimed, fence), "is claimed")
        os.kill(empty.child(job_id), signal.SIGKILL)
    job = empty.ended(job_id, Status.FAILED)
    assert job.error is not None
    assert (job.error["code"], job.error["signal"]) == ("worker_lost", "SIGKILL")
    assert 0 < job.error["job_bytes"] == job.memory_bytes < job.error["machine_bytes"]
    assert empty.ended(empty.post(a_spec())).step == 100


def test_told_to_end_it_hands_back_and_another_goes_on(
    empty: Place, undisturbed: tuple[str | None, list[MetricRow]]
) -> None:
    """A process manager may signal the parent alone, or parent and children alike."""
    pulses = liveness_folder(empty.processes.settings.data_dir)
    job_id = empty.post(SECONDS_OF_TRAINING)
    for end in (os.kill, os.killpg):
        worker = empty.processes.start_worker()
        step = empty.row(job_id).step
        empty.until(job_id, partial(_past, step), "trains")
        assert alive(pulses)
        end(worker.pid, signal.SIGTERM)
        assert worker.wait(20) == 0
        assert not alive(pulses)
        job = empty.row(job_id)
        assert (job.status, job.lost_workers) == (Status.QUEUED, 0)
        assert saved_at(empty.database, job_id)[0] == job.step
    worker = empty.processes.start_worker()
    empty.ended(job_id)
    assert fingerprint(empty.database, job_id) == undisturbed

    job_id = empty.post(FOR_EVER)
    empty.until(job_id, lambda job: job.step > 0, "trains")
    child = empty.child(job_id)
    worker.kill()
    worker.wait()
    empty.processes.until(lambda: not Path(f"/proc/{child}").exists(), "no child outlives a killed worker")


def test_told_to_end_while_it_waits_for_the_broker_it_ends_without_complaint(tmp_path: Path) -> None:
    with processes(tmp_path, broker_url=f"redis://127.0.0.1:{free_port()}/0") as running:
        worker = running.start("worker")
        running.until(lambda: "Cannot connect to redis" in running.said(), "it waits for the broker", worker)
        worker.send_signal(signal.SIGTERM)
        code = worker.wait(30)
        said = running.said()
        assert (code, "Traceback" in said) == (0, False), said


def test_the_check_tells_by_its_exit_code(tmp_path: Path) -> None:
    with processes(tmp_path) as running:
        assert running.start("worker", "--check").wait(20) == 1
        folder = liveness_folder(running.settings.data_dir)
        folder.mkdir()
        (folder / f"{socket.gethostname()}-1").touch()
        assert running.start("worker", "--check").wait(20) == 0


def test_a_worker_on_a_database_at_another_migration_says_so_in_a_line(tmp_path: Path) -> None:
    with processes(tmp_path, database_url=f"sqlite:///{tmp_path / 'empty.db'}") as running:
        (tmp_path / "empty.db").unlink()
        worker: subprocess.Popen[bytes] = running.start("worker")
        assert worker.wait(20) == 1
        (line,) = (tmp_path / "worker-0.log").read_text().splitlines()
        assert "chainrule migrate" in line
