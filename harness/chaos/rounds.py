"""One round: post a job, inject a fault, and compare the job's result with that of an undisturbed run."""

import json
import os
import random
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial

import httpx
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from core.jobs.states import TERMINAL
from core.store import events, jobs
from core.store.database import Database
from core.store.events import MetricRow
from core.store.scope import EVERYTHING
from core.store.tables import Event, Job
from harness.chaos.deployment import Deployment, LocalDeployment, NotReached, children
from harness.chaos.networks import NETWORKS, Spec
from harness.chaos.watcher import Watcher

END_TIMEOUT_SECONDS = 90.0
"""Seconds after which a job that has not ended is lost."""
UNDISTURBED_TIMEOUT_SECONDS = 300.0
"""Seconds that an undisturbed job may take, even on a slow machine."""
ALL_ROWS = 10_000_000
REQUEST_TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True)
class JobResult:
    """Stored results of a job that do not depend on the wall clock."""

    status: str
    stop_reason: str | None
    code: str | None
    weights: str | None
    rows: Sequence[MetricRow]
    seconds: float
    """Seconds from the claim to the end."""


@dataclass
class Verdict:
    """The result of a round."""

    lost: bool = False
    violations: list[str] = field(default_factory=list)
    """Wrong states, and answers to clients that cannot be true."""
    rows_differ: bool = False
    weights_differ: bool = False
    seconds: float | None = None
    """Seconds from the fault until the job's next row or its end."""
    answers: int = 0

    @property
    def passed(self) -> bool:
        """True if the result is that of the undisturbed run and no answer was wrong."""
        return not (self.lost or self.violations or self.rows_differ or self.weights_differ)


class Round:
    """A round in progress: what a fault acts on, and the verification.

    Parameters
    ----------
    deployment, database
        The deployment, and its database without a proxy.
    undisturbed
        The result of each network without a fault.
    rng
        The source of everything random in this round.
    trusted_clock
        Whether the database's clock is correct.
    """

    def __init__(
        self,
        deployment: Deployment,
        database: Database,
        undisturbed: Mapping[str, JobResult],
        rng: random.Random,
        *,
        trusted_clock: bool = True,
    ) -> None:
        self.deployment = deployment
        self.database = database
        self.undisturbed = undisturbed
        self.rng = rng
        self.job_id = ""
        self.watcher: Watcher | None = None
        self.use_network(rng.choice(sorted(NETWORKS)))
        self.violations: list[str] = []
        self._trusted_clock = trusted_clock
        self._fault_at: float | None = None

    @property
    def local(self) -> LocalDeployment:
        """The deployment as a local one, for faults of its processes."""
        assert isinstance(self.deployment, LocalDeployment)
        return self.deployment

    def use_network(self, network: str) -> None:
        """Choose the network that the round's job trains."""
        self.network = network
        self.expected = self.undisturbed[network]
        self.allowed_ends: dict[str, str | None] = {self.expected.status: None}
        """The statuses in which the job may end, each with its error code."""

    def post(self, spec: Spec | None = None, min_bytes: int = 0) -> str:
        """Post the round's job and watch it. An unanswered POST is repeated with the same idempotency key.

        Spaces after the spec make the body at least as large as `min_bytes`.
        """
        key = f"{self.rng.getrandbits(64):016x}"
        body = json.dumps(dict(spec or NETWORKS[self.network]) | {"name": key}).ljust(min_bytes)
        headers = {"Idempotency-Key": key, "Content-Type": "application/json"}
        until = time.monotonic() + REQUEST_TIMEOUT_SECONDS
        while True:
            try:
                answer = httpx.post(f"{self.deployment.url}/v1/jobs", content=body, headers=headers, timeout=10)
            except httpx.HTTPError:
                answer = None
            if answer is not None and answer.status_code == 201:
                break
            if time.monotonic() > until:
                raise NotReached(f"POST was not answered with 201: {answer and answer.text}")
            time.sleep(0.05)
        self.follow(answer.json()["id"])
        with self.database.read() as s:
            if len(found := list(s.scalars(select(Job.id).where(Job.name == key)))) != 1:
                self.violations.append(f"one POST, repeated with its key, created {found}")
        return self.job_id

    def follow(self, job_id: str) -> None:
        """Make this job the round's job and watch it."""
        self.job_id = job_id
        lease_seconds = self.deployment.lease_seconds if self._trusted_clock else None
        self.watcher = Watcher(self.deployment.url, job_id, lease_seconds)

    def wait_randomly(self, max_fraction: float = 1.0) -> None:
        """Wait for a random fraction of the undisturbed run's time, up to `max_fraction`."""
        time.sleep(self.rng.uniform(0.0, max_fraction) * self.expected.seconds)

    def mark_fault(self) -> None:
        """Record the time of the fault."""
        if self._fault_at is None:
            self._fault_at = time.time()

    def kill_child(self, number: int = signal.SIGKILL) -> list[int]:
        """Send the signal to all child processes of the first worker; return their ids."""
        self.mark_fault()
        found = children(self.local.workers[0])
        for pid in found:
            send(pid, number)
        return found

    def kill_worker(self, which: int = 0) -> None:
        """Kill a worker and its child processes."""
        self.mark_fault()
        process = self.local.workers[which]
        forked = children(process)
        process.kill()
        for pid in forked:
            send(pid, signal.SIGKILL)
        process.wait()

    def stop_workers(self) -> list[int]:
        """Suspend all workers outside of transactions, which would block SQLite; return their process ids."""
        found = [pid for worker in self.local.workers for pid in [worker.pid, *children(worker)]]
        while True:
            for pid in found:
                send(pid, signal.SIGSTOP)
            with suppress(OperationalError), self.database.begin() as s:
                s.connection()
                return found
            for pid in reversed(found):
                send(pid, signal.SIGCONT)

    def kill_api(self) -> None:
        """Kill the API."""
        self.mark_fault()
        if self.local.api is not None:
            self.local.api.kill()
            self.local.api.wait()

    def row(self, job_id: str | None = None) -> Job:
        """Return a job's row, by default that of the round's job."""
        with self.database.read() as s:
            return jobs.get(s, EVERYTHING, job_id or self.job_id)

    def until(self, condition: Callable[[Job], bool], what: str, job_id: str | None = None) -> Job:
        """Wait until a job, by default the round's, satisfies the condition or has ended."""
        deadline = time.monotonic() + END_TIMEOUT_SECONDS
        while not (condition(job := self.row(job_id)) or job.status in TERMINAL):
            if time.monotonic() > deadline:
                raise NotReached(f"the job is {job.status} at step {job.step}, expected: {what}")
            time.sleep(0.005)
        return job

    def request(self, what: str) -> int:
        """POST a request about the round's job, such as "pause"; return the status code."""
        until = time.monotonic() + REQUEST_TIMEOUT_SECONDS
        while time.monotonic() < until:
            try:
                answer = httpx.post(f"{self.deployment.url}/v1/jobs/{self.job_id}/{what}", timeout=10)
            except httpx.HTTPError:
                continue
            if answer.status_code != 503:
                return answer.status_code
            time.sleep(0.05)
        raise NotReached(f"{what} was not answered")

    def expect_result(self, job_id: str, network: str) -> None:
        """Wait for the end of another job and check that its result is the undisturbed one."""
        self.until(lambda _: False, "it ends", job_id)
        end, expected = job_result(self.database, job_id), self.undisturbed[network]
        if replace(end, seconds=expected.seconds) != expected:
            outcome = f"{end.status} ({end.code}), or with other rows or weights"
            self.violations.append(f"{job_id} ({network}) ended as {outcome}")

    def verify(self) -> Verdict:
        """Wait for the end of the round's job and compare its result."""
        verdict = Verdict()
        try:
            self.until(lambda _: False, "it ends")
        except NotReached as error:
            verdict.lost = True
            verdict.violations.append(str(error))
        if self.watcher is not None:
            self.watcher.stop(0.1 if verdict.lost else 20.0)
            verdict.answers = self.watcher.answers
        end = job_result(self.database, self.job_id)
        verdict.violations += self.violations + (self.watcher.violations if self.watcher else [])
        self._compare(end, verdict)
        verdict.seconds = self._recovery_seconds()
        return verdict

    def _compare(self, end: JobResult, verdict: Verdict) -> None:
        expected = self.expected
        if end.status not in self.allowed_ends or end.code != self.allowed_ends[end.status]:
            verdict.violations.append(f"it ended as {end.status} ({end.code}), expected one of {self.allowed_ends}")
        if end.status == expected.status:
            if end.stop_reason != expected.stop_reason:
                verdict.violations.append(f"its stop reason is {end.stop_reason}, expected {expected.stop_reason}")
            verdict.rows_differ = list(end.rows) != list(expected.rows)
            verdict.weights_differ = end.weights != expected.weights
        else:
            verdict.rows_differ = list(end.rows) != list(expected.rows)[: len(end.rows)]
        if self.watcher and self.watcher.stream_ended and (last := self.row().last_seq) != self.watcher.last_seq:
            verdict.violations.append(f"the stream ended after event {self.watcher.last_seq} of {last}")

    def _recovery_seconds(self) -> float | None:
        if self._fault_at is None or not self._trusted_clock:
            return None
        with self.database.read() as s:
            statement = (
                select(Event.at)
                .where(Event.job_id == self.job_id, Event.at > int(self._fault_at * 1e6))
                .where(
                    (Event.kind == "metric")
                    | (Event.seq == select(Job.last_seq).where(Job.id == self.job_id).scalar_subquery())
                )
                .order_by(Event.at)
                .limit(1)
            )
            at = s.scalars(statement).one_or_none()
        return None if at is None else at / 1e6 - self._fault_at


def job_result(database: Database, job_id: str) -> JobResult:
    """Return the job's result so far."""
    with database.read() as s:
        job = jobs.get(s, EVERYTHING, job_id)
        rows = events.stored_rows(s, job_id, 0, ALL_ROWS)
    seconds = ((job.ended_at or 0) - (job.started_at or 0)) / 1e6
    code = (job.error or {}).get("code")
    stop_reason = job.stop_reason and job.stop_reason.value
    return JobResult(job.status.value, stop_reason, code, job.weights_sha256, rows, seconds)


def train_undisturbed(deployment: Deployment, database: Database) -> dict[str, JobResult]:
    """Train each network without a fault and return the results."""
    results = {}
    for network, spec in NETWORKS.items():
        answer = httpx.post(f"{deployment.url}/v1/jobs", json=dict(spec), timeout=30)
        job_id = answer.raise_for_status().json()["id"]
        deployment.until(partial(_ended, database, job_id), f"{network} ends", UNDISTURBED_TIMEOUT_SECONDS)
        results[network] = job_result(database, job_id)
    return results


def _ended(database: Database, job_id: str) -> bool:
    return job_result(database, job_id).status in TERMINAL


def send(pid: int, number: int) -> None:
    """Send a signal to a process that may have ended."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)
