"""A real worker process, embedded and on Postgres with Redis: what it promises when it is killed, stopped and asked."""

import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from core.bell import Bell
from core.jobs.rows import Row
from core.jobs.states import Keep, Status
from core.store import jobs
from core.store.sessions import Sessions, open_sessions
from core.store.tables import Job
from tests.backends import postgres_database, redis_database
from tests.processes import Processes, processes
from tests.worker.jobs import LONG, SPIRALS, a_spec, post, remarks, row, saved_at, story, stream
from worker.pulse import alive, pulse_folder

SECONDS_OF_TRAINING = a_spec(SPIRALS, epochs=260, batch_size=10, shuffle=True)
FOR_EVER = a_spec(SPIRALS, epochs=LONG, batch_size=10, shuffle=True)


@dataclass
class Place:
    """Processes, and a door of the test's own to their database."""

    processes: Processes
    sessions: Sessions
    bell: Bell

    def post(self, spec: dict[str, object]) -> str:
        job_id = post(self.sessions, spec)
        self.bell.ring()
        return job_id

    def row(self, job_id: str) -> Job:
        return row(self.sessions, job_id)

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


@pytest.fixture(params=["embedded", "postgres and redis"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    with ExitStack() as stack:
        urls = {}
        if request.param != "embedded":
            urls["database_url"] = stack.enter_context(postgres_database())
            urls["broker_url"] = stack.enter_context(redis_database())
        running = stack.enter_context(processes(tmp_path, **urls))
        sessions = open_sessions(running.settings.database)
        stack.callback(sessions.close)
        bell = Bell(running.settings)
        stack.callback(bell.close)
        yield Place(running, sessions, bell)


def fingerprint(place: Place, job_id: str) -> tuple[str | None, list[Row]]:
    """What an interruption must not change."""
    return place.row(job_id).weights_sha256, stream(place.sessions, job_id)


def test_a_job_from_its_row_to_its_end(place: Place) -> None:
    worker = place.processes.start_worker()
    job = place.ended(place.post(a_spec()))
    assert story(place.sessions, job.id) == ["queued", "running", "succeeded"]
    assert (job.stop_reason, job.step, job.epoch) == ("epochs_completed", 100, 100)
    assert saved_at(place.sessions, job.id) == [100]
    assert sum(found.name == "loss" for found in stream(place.sessions, job.id)) == 100
    assert alive(pulse_folder(place.processes.settings.data_dir))
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(20) == 0
    assert not alive(pulse_folder(place.processes.settings.data_dir))


def test_killed_paused_and_moved_it_ends_as_if_nothing_had_happened(place: Place) -> None:
    worker = place.processes.start_worker()
    calm = place.post(SECONDS_OF_TRAINING)
    place.ended(calm)

    job_id = place.post(SECONDS_OF_TRAINING)
    place.until(job_id, lambda job: job.step > 500, "trains")
    os.kill(place.child(job_id), signal.SIGKILL)
    place.until(job_id, lambda job: job.fence >= 3 and job.step > 0, "is claimed again")
    with place.sessions.begin() as s:
        jobs.pause(s, job_id)
    paused = place.until(job_id, lambda job: job.status is Status.PAUSED, "is paused")
    assert saved_at(place.sessions, job_id)[0] == paused.step
    with place.sessions.begin() as s:
        jobs.resume(s, job_id)
    place.bell.ring()
    place.until(job_id, lambda job: job.status is Status.RUNNING and job.step > paused.step, "goes on")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(20) == 0
    yielded = place.row(job_id)
    assert (yielded.status, yielded.deaths) == (Status.QUEUED, 0)
    place.processes.start_worker()
    place.ended(job_id)

    assert story(place.sessions, job_id) == [
        "queued", "running", "queued", "running", "pausing", "paused",
        "queued", "running", "queued", "running", "succeeded",
    ]  # fmt: skip
    assert fingerprint(place, job_id) == fingerprint(place, calm)
    assert remarks(place.sessions, job_id) == []


@pytest.mark.parametrize("keep", list(Keep))
def test_cancel_keeps_what_was_asked_for(place: Place, keep: Keep) -> None:
    place.processes.start_worker()
    job_id = place.post(FOR_EVER)
    place.until(job_id, lambda job: job.best is not None, "has a best epoch")
    with place.sessions.begin() as s:
        jobs.cancel(s, job_id, keep)
    job = place.ended(job_id, Status.CANCELLED)
    assert job.stop_reason == "cancelled"
    assert bool(saved_at(place.sessions, job_id)) is (keep is not Keep.NONE)


def test_a_poisonous_job_does_not_kill_workers_for_ever(place: Place) -> None:
    place.processes.start_worker()
    job_id = place.post(FOR_EVER)
    for fence in (1, 3, 5):
        place.until(job_id, lambda job: job.fence == fence and job.worker is not None, "is claimed")  # noqa: B023
        os.kill(place.child(job_id), signal.SIGKILL)
    job = place.ended(job_id, Status.FAILED)
    assert job.error is not None
    assert (job.error["code"], job.error["signal"], job.error["machine_bytes"] > 0) == ("worker_lost", "SIGKILL", True)
    assert place.ended(place.post(a_spec())).step == 100


def test_jobs_that_nobody_rang_for_are_found(place: Place) -> None:
    waiting = [post(place.sessions, a_spec()) for _ in range(3)]
    place.processes.start_worker()
    for job_id in waiting:
        place.ended(job_id)


def test_bells_without_work_do_no_harm(place: Place) -> None:
    place.processes.start_worker()
    for _ in range(10):
        place.bell.ring()
    job = place.ended(place.post(a_spec()))
    assert story(place.sessions, job.id) == ["queued", "running", "succeeded"]


def test_the_whole_group_may_be_told_to_end(place: Place) -> None:
    """A process manager signals parent and children alike."""
    worker = place.processes.start_worker()
    job_id = place.post(FOR_EVER)
    place.until(job_id, lambda job: job.step > 0, "trains")
    os.killpg(worker.pid, signal.SIGTERM)
    assert worker.wait(20) == 0
    job = place.row(job_id)
    assert (job.status, job.deaths) == (Status.QUEUED, 0)


def test_no_child_outlives_a_killed_worker(place: Place) -> None:
    worker = place.processes.start_worker()
    job_id = place.post(FOR_EVER)
    place.until(job_id, lambda job: job.step > 0, "trains")
    child = place.child(job_id)
    worker.kill()
    worker.wait()
    place.processes.until(lambda: not Path(f"/proc/{child}").exists(), "the child has ended")


def test_the_check_tells_by_its_exit_code(tmp_path: Path) -> None:
    with processes(tmp_path) as running:
        assert running.start("worker", "--check").wait(20) == 1
        folder = pulse_folder(running.settings.data_dir)
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
