"""One round: a job is posted, something happens to it, and its end is compared with that of the undisturbed run."""

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
from harness.chaos.nets import NETS, Spec
from harness.chaos.place import NotSo, Place, Service, children
from harness.chaos.watch import Watch

ENDS_WITHIN = 90.0
"""Seconds after which a job that has not ended is lost."""
IN_PEACE = 300.0
"""Seconds after which a job that nothing happens to has not ended: no fault of the service, where a machine is slow."""
ALL = 10_000_000
REPEATS = 60.0


@dataclass(frozen=True)
class End:
    """What a job leaves, less what the wall clock says."""

    status: str
    stop_reason: str | None
    code: str | None
    weights: str | None
    rows: Sequence[MetricRow]
    seconds: float
    """From its claim to its end."""


@dataclass
class Verdict:
    """What came of a round."""

    lost: bool = False
    lies: list[str] = field(default_factory=list)
    """Wrong states, and what else was wrong in what clients were told."""
    rows_differ: bool = False
    weights_differ: bool = False
    seconds: float | None = None
    """From the fault until the job made a row or ended."""
    answers: int = 0

    @property
    def right(self) -> bool:
        """Whether all is as it was without the fault."""
        return not (self.lost or self.lies or self.rows_differ or self.weights_differ)


class Round:
    """What a fault works with.

    Parameters
    ----------
    service, sessions
        Where it happens, and the way to the database past all cables.
    undisturbed
        What each net ends with when nothing happens.
    chance
        Everything random in this round comes from here.
    trusted_clock
        Whether what the database calls now is now.
    """

    def __init__(
        self,
        service: Service,
        database: Database,
        undisturbed: Mapping[str, End],
        chance: random.Random,
        *,
        trusted_clock: bool = True,
    ) -> None:
        self.service = service
        self.database = database
        self.undisturbed = undisturbed
        self.chance = chance
        self.job_id = ""
        self.watch: Watch | None = None
        self.choose(chance.choice(sorted(NETS)))
        self.lies: list[str] = []
        self._trusted_clock = trusted_clock
        self._hurt_at: float | None = None

    @property
    def place(self) -> Place:
        """The processes of this machine, for a fault that reaches for them."""
        assert isinstance(self.service, Place)
        return self.service

    # What a fault does.

    def choose(self, net: str) -> None:
        """Have the round's job train this net."""
        self.net = net
        self.expected = self.undisturbed[net]
        self.may_end: dict[str, str | None] = {self.expected.status: None}
        """How the job may end, and the code of the error then."""

    def post(self, spec: Spec | None = None) -> str:
        """Post the round's job and begin to watch it; a client repeats a POST that was not answered, with its key."""
        key = f"{self.chance.getrandbits(64):016x}"
        body = dict(spec or NETS[self.net]) | {"name": key}
        until = time.monotonic() + REPEATS
        while True:
            try:
                answer = httpx.post(
                    f"{self.service.url}/v1/jobs", json=body, headers={"Idempotency-Key": key}, timeout=10
                )
            except httpx.HTTPError:
                answer = None
            if answer is not None and answer.status_code == 201:
                break
            if time.monotonic() > until:
                raise NotSo(f"POST is not answered by 201: {answer and answer.text}")
            time.sleep(0.05)
        self.follow(answer.json()["id"])
        with self.database.read() as s:
            if len(found := list(s.scalars(select(Job.id).where(Job.name == key)))) != 1:
                self.lies.append(f"one POST, repeated with its key, made {found}")
        return self.job_id

    def follow(self, job_id: str) -> None:
        """Watch this job as the round's."""
        self.job_id = job_id
        self.watch = Watch(self.service.url, job_id, self.service.lease if self._trusted_clock else None)

    def moment(self, most: float = 1.0) -> None:
        """Wait for a random part of the time that the undisturbed run takes, `most` of it at most."""
        time.sleep(self.chance.uniform(0.0, most) * self.expected.seconds)

    def hurt(self) -> None:
        """Say that the fault comes now."""
        if self._hurt_at is None:
            self._hurt_at = time.time()

    def kill_child(self, number: int = signal.SIGKILL) -> list[int]:
        """Send the signal to all that the first worker has forked; their ids."""
        self.hurt()
        found = children(self.place.workers[0])
        for pid in found:
            send(pid, number)
        return found

    def kill_worker(self, which: int = 0) -> None:
        """Kill a whole worker at once."""
        self.hurt()
        process = self.place.workers[which]
        below = children(process)
        process.kill()
        for pid in below:
            send(pid, signal.SIGKILL)
        process.wait()

    def stop_workers(self) -> list[int]:
        """Stop all workers, none of them in a transaction: on SQLite nobody could write then; their processes."""
        found = [pid for worker in self.place.workers for pid in [worker.pid, *children(worker)]]
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
        self.hurt()
        if self.place.api is not None:
            self.place.api.kill()
            self.place.api.wait()

    def row(self, job_id: str | None = None) -> Job:
        """A job's row, by default that of the round's."""
        with self.database.read() as s:
            return jobs.get(s, EVERYTHING, job_id or self.job_id)

    def until(self, reached: Callable[[Job], bool], what: str, job_id: str | None = None) -> Job:
        """Wait until a job, by default the round's, is there, or has ended."""
        deadline = time.monotonic() + ENDS_WITHIN
        while not (reached(job := self.row(job_id)) or job.status in TERMINAL):
            if time.monotonic() > deadline:
                raise NotSo(f"the job is {job.status} at step {job.step}, and not so: {what}")
            time.sleep(0.005)
        return job

    def ask(self, what: str) -> int:
        """POST a wish of the job's client; the answer's status."""
        until = time.monotonic() + REPEATS
        while time.monotonic() < until:
            try:
                answer = httpx.post(f"{self.service.url}/v1/jobs/{self.job_id}/{what}", timeout=10)
            except httpx.HTTPError:
                continue
            if answer.status_code != 503:
                return answer.status_code
            time.sleep(0.05)
        raise NotSo(f"{what} is not answered")

    def ends_undisturbed(self, job_id: str, net: str) -> None:
        """Wait for the end of another job than the round's: it is as though nothing had happened."""
        self.until(lambda _: False, "it ends", job_id)
        end, expected = the_end(self.database, job_id), self.undisturbed[net]
        if replace(end, seconds=expected.seconds) != expected:
            self.lies.append(f"{job_id} ({net}) ended as {end.status} ({end.code}), or with other rows or weights")

    # What is made of it.

    def judge(self) -> Verdict:
        """Wait for the end, and compare."""
        verdict = Verdict()
        try:
            self.until(lambda _: False, "it ends")
        except NotSo as error:
            verdict.lost = True
            verdict.lies.append(str(error))
        if self.watch is not None:
            self.watch.stop(0.1 if verdict.lost else 20.0)
            verdict.answers = self.watch.answers
        end = the_end(self.database, self.job_id)
        verdict.lies += self.lies + (self.watch.lies if self.watch else [])
        self._compare(end, verdict)
        verdict.seconds = self._seconds_to_go_on()
        return verdict

    def _compare(self, end: End, verdict: Verdict) -> None:
        expected = self.expected
        if end.status not in self.may_end or end.code != self.may_end[end.status]:
            verdict.lies.append(f"it ended as {end.status} ({end.code}), and not as one of {self.may_end}")
        if end.status == expected.status:
            if end.stop_reason != expected.stop_reason:
                verdict.lies.append(f"it stopped for {end.stop_reason}, and not for {expected.stop_reason}")
            verdict.rows_differ = list(end.rows) != list(expected.rows)
            verdict.weights_differ = end.weights != expected.weights
        else:
            verdict.rows_differ = list(end.rows) != list(expected.rows)[: len(end.rows)]
        if self.watch and self.watch.heard_end and (last := self.row().last_seq) != self.watch.last_seq:
            verdict.lies.append(f"the stream ended with event {self.watch.last_seq} of {last}")

    def _seconds_to_go_on(self) -> float | None:
        if self._hurt_at is None or not self._trusted_clock:
            return None
        with self.database.read() as s:
            statement = (
                select(Event.at)
                .where(Event.job_id == self.job_id, Event.at > int(self._hurt_at * 1e6))
                .where(
                    (Event.kind == "metric")
                    | (Event.seq == select(Job.last_seq).where(Job.id == self.job_id).scalar_subquery())
                )
                .order_by(Event.at)
                .limit(1)
            )
            at = s.scalars(statement).one_or_none()
        return None if at is None else at / 1e6 - self._hurt_at


def the_end(database: Database, job_id: str) -> End:
    """What the job has left by now."""
    with database.read() as s:
        job = jobs.get(s, EVERYTHING, job_id)
        rows = events.stored_rows(s, job_id, 0, ALL)
    seconds = ((job.ended_at or 0) - (job.started_at or 0)) / 1e6
    code = (job.error or {}).get("code")
    return End(job.status.value, job.stop_reason and job.stop_reason.value, code, job.weights_sha256, rows, seconds)


def undisturbed(service: Service, database: Database) -> dict[str, End]:
    """Train each net in peace."""
    ends = {}
    for net, spec in NETS.items():
        answer = httpx.post(f"{service.url}/v1/jobs", json=dict(spec), timeout=30)
        job_id = answer.raise_for_status().json()["id"]
        service.until(partial(_ended, database, job_id), f"{net} ends", IN_PEACE)
        ends[net] = the_end(database, job_id)
    return ends


def _ended(database: Database, job_id: str) -> bool:
    return the_end(database, job_id).status in TERMINAL


def send(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
