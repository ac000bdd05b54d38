"""Model test of the job protocol: workers that crash, resume late and lose answers of commits, in any order.

A model in memory knows which worker has which job; after each step the database must agree with it.
`make model` runs the long form.
"""

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy import select
from sqlalchemy.orm import Session

from core.jobs.states import ACTIVE, TERMINAL, TRANSITIONS, Request, Status
from core.store import events, jobs, leases, totals
from core.store.database import Database
from core.store.errors import Fenced, WrongState
from core.store.events import LogRow, MetricRow
from core.store.guards import FencingToken, GuardedWrite, token_of
from core.store.scope import EVERYTHING
from core.store.tables import Job
from core.versions import Release
from tests.builders import LEASE_SECONDS, a_checkpoint, a_guard, a_job, lapse
from tests.conftest import empty
from tests.core.store.test_jobs import REQUESTS

AFTER_LOST_WORKER = {Status.RUNNING: Status.QUEUED, Status.PAUSING: Status.PAUSED, Status.CANCELLING: Status.CANCELLED}
ENDS = {
    Request.CANCEL: [Status.CANCELLED, Status.SUCCEEDED],
    Request.PAUSE: [Status.PAUSED, Status.FAILED],
    Request.YIELD: [Status.QUEUED, Status.SUCCEEDED],
    None: [Status.SUCCEEDED, Status.FAILED, Status.QUEUED],
}


RELEASES = [Release("1.0.0", 1, 1), Release("1.1.0", 1, 2), Release("2.0.0", 2, 2)]
"""Versions of workers and APIs, each newer than the one before."""

Method = TypeVar("Method", bound=Callable[..., None])


@dataclass
class ExpectedJob:
    """The state that a job must be in."""

    id: str
    owner: str
    priority: int
    vocabulary: int = 0
    arithmetic: int = 0
    status: Status = Status.QUEUED
    fence: int = 0
    writes: int = 0
    rows: int = 0
    checkpointed: int = 0
    checkpoints: int = 0
    lost_workers: int = 0
    history: list[Status] = field(default_factory=lambda: [Status.QUEUED])


@dataclass
class Worker:
    """State of a worker as the worker knows it, which may be out of date.

    `unknown_rows` is the number of rows of its last commit if it does not know whether that happened.
    """

    token: FencingToken
    rows: int
    release: Release
    unknown_rows: int | None = None


class CommitLost(Exception):
    """The answer to a commit did not arrive."""


ANSWERS = st.sampled_from(["arrives", "arrives", "lost", "never sent"])
INDEX = st.integers(0, 1_000)
FEW = st.integers(0, 4)
SPEC = '{"x": 1}'
RESERVED_ROWS, RESERVED_BYTES = 1_000, 500
MAX_UNFINISHED_JOBS = 2  # few, so that several workers meet at the same one


def anytime(_: "Protocol") -> bool:
    """Allow an action at any time."""
    return True


@dataclass(frozen=True)
class Action:
    """An action of the model: its method, when it is possible, and the strategies of its arguments."""

    name: str
    possible: Callable[["Protocol"], object]
    weight: int
    arguments: dict[str, st.SearchStrategy[Any]]


ACTIONS: list[Action] = []


def action(
    possible: Callable[["Protocol"], object], weight: int = 1, **arguments: st.SearchStrategy[Any]
) -> Callable[[Method], Method]:
    """Mark a method as an action. As rules of their own, most of them would be left out of most runs."""

    def mark(method: Method) -> Method:
        ACTIONS.append(Action(method.__name__, possible, weight, arguments))
        return method

    return mark


class Protocol(RuleBasedStateMachine):
    """Jobs, clients and workers."""

    database: Database

    @rule(data=st.data())
    def act(self, data: st.DataObject) -> None:
        possible = [one for one in ACTIONS for _ in range(one.weight) if one.possible(self)]
        chosen = data.draw(st.sampled_from(possible), "what")
        arguments = {name: data.draw(strategy, name) for name, strategy in chosen.arguments.items()}
        getattr(self, chosen.name)(**arguments)

    def __init__(self) -> None:
        super().__init__()
        empty(self.database)
        self.expected: dict[str, ExpectedJob] = {}
        self.workers: list[Worker] = []
        self.read: dict[str, tuple[int, int]] = {}

    # Clients

    @action(
        lambda self: len(self.unfinished()) < MAX_UNFINISHED_JOBS and len(self.expected) < 3 * MAX_UNFINISHED_JOBS,
        2,
        owner=st.sampled_from(["ann", "bob"]),
        priority=st.integers(0, 1),
        release=st.sampled_from(RELEASES),
    )
    def post(self, owner: str, priority: int, release: Release) -> None:
        with self.database.begin() as s:
            reserved: dict[str, Any] = {"metric_rows": RESERVED_ROWS, "checkpoint_bytes": RESERVED_BYTES}
            job = a_job(s, owner=owner, priority=priority, release=release, spec=SPEC, **reserved)
        self.expected[job.id] = ExpectedJob(job.id, owner, priority, release.vocabulary, release.arithmetic)

    @action(lambda self: self.expected, index=INDEX, request=st.sampled_from(sorted(REQUESTS)))
    def request(self, index: int, request: str) -> None:
        send, targets = REQUESTS[request]
        expected = self.any_job(index)
        target = targets.get(expected.status)
        try:
            with self.database.begin() as s:
                send(s, EVERYTHING, expected.id)
        except WrongState:
            assert target is None
        else:
            assert target is not None
            if target != expected.status:
                self.move(expected, target)

    @action(lambda self: self.expected, index=INDEX)
    def delete(self, index: int) -> None:
        expected = self.any_job(index)
        try:
            with self.database.begin() as s:
                jobs.delete(s, EVERYTHING, expected.id)
        except WrongState:
            assert expected.status not in TERMINAL
        else:
            assert expected.status in TERMINAL
            del self.expected[expected.id]

    # Workers, in time or late

    @action(anytime, 6, answer=ANSWERS, release=st.sampled_from(RELEASES))
    def claim(self, answer: str, release: Release) -> None:
        with self.transaction(answer) as s:
            job = leases.claim(s, f"w{len(self.workers)}", LEASE_SECONDS, release=release)
        expected = self.next_due(release)
        if expected is None or answer == "never sent":
            assert (job is None) == (expected is None)
            return
        assert job is not None
        assert job.id == expected.id
        numbers = {"vocabulary": release.vocabulary, "arithmetic": release.arithmetic}
        self.move(expected, Status.RUNNING, fence=expected.fence + 1, writes=0, **numbers)
        if answer == "arrives":  # else nobody knows of the claim until its lease expires
            self.workers.append(Worker(token_of(job), job.recorded, release))

    @action(
        lambda self: self.workers,
        index=INDEX,
        rows=st.integers(0, 4),
        logs=st.integers(0, 1),
        checkpoint=st.booleans(),
        answer=ANSWERS,
    )
    def write(self, index: int, rows: int, logs: int, checkpoint: bool, answer: str) -> None:
        worker = self.any_worker(index)

        def work(s: Session) -> GuardedWrite:
            numbers = range(worker.rows, worker.rows + rows)
            stream = [MetricRow(n, 1, "train", "loss", float(n)) for n in numbers]
            guarded = a_guard(s, worker.token, events=rows + logs, recorded=rows, step=worker.rows + rows)
            events.append(s, guarded, stream, logs=[LogRow("hm")] * logs)
            if checkpoint:
                a_checkpoint(s, guarded.token, step=worker.rows + rows)
            return guarded

        def apply(expected: ExpectedJob) -> None:
            expected.writes += 1
            expected.rows += rows
            expected.checkpoints += checkpoint
            if checkpoint and expected.rows > expected.checkpointed:
                expected.checkpointed, expected.lost_workers = expected.rows, 0

        self.write_guarded(worker, work, apply, rows, answer)

    @action(lambda self: self.workers, index=INDEX, choice=INDEX, answer=ANSWERS)
    def release(self, index: int, choice: int, answer: str) -> None:
        worker = self.any_worker(index)
        chosen: list[Status] = []

        def work(s: Session) -> GuardedWrite:
            guarded = a_guard(s, worker.token)
            ends = ENDS[guarded.request]
            chosen.append(ends[choice % len(ends)])
            leases.release(s, guarded.token, chosen[0], message="left", actor="w")
            return guarded

        def apply(expected: ExpectedJob) -> None:
            expected.writes += 1
            self.move(expected, chosen[0])

        self.write_guarded(worker, work, apply, 0, answer)

    @action(lambda self: self.workers, index=INDEX, answer=ANSWERS)
    def leave_to_another_version(self, index: int, answer: str) -> None:
        """Return a job whose spec the worker does not know."""
        worker = self.any_worker(index)
        newer = worker.release.vocabulary + 1
        left: list[Status] = []

        def work(s: Session) -> GuardedWrite:
            guarded = a_guard(s, worker.token, vocabulary=newer, version="newer")
            left.append(ENDS[guarded.request][0] if guarded.request else Status.QUEUED)
            leases.release(s, guarded.token, left[0], message="left", actor="w")
            return guarded

        def apply(expected: ExpectedJob) -> None:
            expected.writes += 1
            expected.vocabulary = newer
            self.move(expected, left[0])

        self.write_guarded(worker, work, apply, 0, answer)

    @action(lambda self: any(worker.unknown_rows is not None for worker in self.workers), index=INDEX)
    def resolve_commit(self, index: int) -> None:
        waiting = [worker for worker in self.workers if worker.unknown_rows is not None]
        worker = waiting[index % len(waiting)]
        expected = self.expected.get(worker.token.job_id)
        lost = expected is None or expected.fence != worker.token.fence
        try:
            with self.database.read() as s:
                following = leases.resolve_commit(s, worker.token)
        except Fenced:
            assert lost
            self.workers.remove(worker)
            return
        assert expected is not None
        assert not lost
        assert expected.writes == worker.token.writes + (following is not None)
        if following is not None:
            assert worker.unknown_rows is not None
            worker.token, worker.rows = following, worker.rows + worker.unknown_rows
        worker.unknown_rows = None

    @action(lambda self: self.workers, index=INDEX)
    def heartbeat(self, index: int) -> None:
        worker = self.any_worker(index)
        expected = self.expected.get(worker.token.job_id)
        valid = expected is not None and expected.fence == worker.token.fence and expected.status in ACTIVE
        try:
            with self.database.begin() as s:
                leases.renew(s, worker.token, LEASE_SECONDS)
        except Fenced:
            assert not valid
            self.workers.remove(worker)
        else:
            assert valid

    @action(anytime)
    def shut_down(self) -> None:
        with self.database.begin() as s:
            yielding = leases.ask_to_yield(s, "w")
        assert all(self.expected[job_id].status == Status.RUNNING for job_id in yielding)

    # Lost workers and notifications

    @action(lambda self: self.active(), 3, chosen=st.sets(INDEX, min_size=1))
    def leases_expire(self, chosen: set[int]) -> None:
        active = self.active()
        expired = {active[index % len(active)].id for index in chosen}
        with self.database.begin() as s:
            for job_id in expired:
                lapse(s, job_id)
            requeued = {job.id for job in leases.requeue_expired(s)}
        assert requeued == expired
        for job_id in expired:
            self.lose(self.expected[job_id])

    @action(lambda self: self.expected, index=INDEX, behind=st.integers(0, 1))
    def supervisor_sees_a_worker_exit(self, index: int, behind: int) -> None:
        expected = self.any_job(index)
        with self.database.begin() as s:
            job = leases.requeue_lost(s, expected.id, expected.fence - behind, message="killed")
        assert (job is not None) == (behind == 0 and expected.status in ACTIVE)
        if job is not None:
            self.lose(expected)

    @action(anytime)
    def notify(self) -> None:
        due = any(expected.status == Status.QUEUED for expected in self.expected.values())
        with self.database.begin() as s:
            assert leases.notification_due(s, 0.0) == due

    # Invariants

    @invariant()
    def database_matches_model(self) -> None:
        with self.database.read() as s:
            rows = {job.id: job for job in s.scalars(select(Job))}
            assert rows.keys() == self.expected.keys()
            assert {owner: found for owner, found in totals.stored(s).items() if any(found)} == totals.counted(s)
            for job_id, expected in self.expected.items():
                self.check(rows[job_id], expected)
                self.check_log(s, rows[job_id], expected)

    def teardown(self) -> None:
        """Check all logs again at the end, also those that seem to have no new events."""
        self.read.clear()
        self.database_matches_model()

    def check(self, job: Job, expected: ExpectedJob) -> None:
        actual = (job.status, job.fence, job.writes, job.recorded, job.lost_workers)
        assert actual == (expected.status, expected.fence, expected.writes, expected.rows, expected.lost_workers)
        assert (job.vocabulary, job.arithmetic) == (expected.vocabulary, expected.arithmetic)
        assert (job.worker is None) == (job.lease_until is None) == (expected.status not in ACTIVE)
        assert (job.ended_at is not None) == (expected.status in TERMINAL)
        assert job.spec_bytes == len(SPEC)
        if expected.status in TERMINAL:  # counted with what it has, not with what it might have needed
            assert (job.metric_rows, job.checkpoint_bytes) == (expected.rows, 3 * expected.checkpoints)
        else:
            assert (job.metric_rows, job.checkpoint_bytes) == (RESERVED_ROWS, RESERVED_BYTES)

    def check_log(self, s: Session, job: Job, expected: ExpectedJob) -> None:
        """Check a job's log, where its row or the model says that there are new events."""
        last = (job.last_seq, expected.rows + len(expected.history))
        if self.read.get(job.id) == last:
            return
        self.read[job.id] = last
        log = events.after(s, EVERYTHING, job.id, 0)
        assert [row.seq for row in log] == list(range(1, job.last_seq + 1)), "missing, duplicate or unordered events"
        assert [row.value for row in log if row.kind == "metric"] == [float(n) for n in range(expected.rows)]
        assert [row.data["status"] for row in log if row.kind == "status" and row.data] == expected.history
        assert [change.status for change in jobs.transitions(s, EVERYTHING, job.id)] == expected.history
        for before, after in zip(expected.history, expected.history[1:], strict=False):
            assert after in TRANSITIONS[before]

    # The model

    def write_guarded(
        self,
        worker: Worker,
        work: Callable[[Session], GuardedWrite],
        apply: Callable[[ExpectedJob], None],
        rows: int,
        answer: str,
    ) -> None:
        """Run a guarded transaction of a worker that may have lost the job; its commit's answer may be lost."""
        expected = self.expected.get(worker.token.job_id)
        valid = expected is not None and expected.status in ACTIVE
        if expected is not None:
            valid = valid and (expected.fence, expected.writes) == (worker.token.fence, worker.token.writes)
        try:
            with self.transaction(answer) as s:
                guarded = work(s)
        except Fenced:
            assert not valid
            self.workers.remove(worker)
            return
        assert expected is not None
        assert valid, "a worker that lost its job wrote"
        if answer != "never sent":
            apply(expected)
        if answer == "arrives":
            worker.token, worker.rows, worker.unknown_rows = guarded.token, worker.rows + rows, None
        else:
            worker.unknown_rows = rows

    @contextmanager
    def transaction(self, answer: str) -> Any:
        """Run a transaction that commits, unless its commit is never sent."""
        try:
            with self.database.begin() as s:
                yield s
                if answer == "never sent":
                    raise CommitLost
        except CommitLost:
            pass

    def lose(self, expected: ExpectedJob) -> None:
        target = AFTER_LOST_WORKER[expected.status]
        lost_workers = expected.lost_workers + 1
        if target == Status.QUEUED and lost_workers >= leases.MAX_LOST_WORKERS:
            target = Status.FAILED
        self.move(expected, target, fence=expected.fence + 1, lost_workers=lost_workers)

    def move(self, expected: ExpectedJob, target: Status, **changes: Any) -> None:
        self.expected[expected.id] = replace(expected, status=target, history=[*expected.history, target], **changes)

    def next_due(self, release: Release) -> ExpectedJob | None:
        load = {expected.owner: 0 for expected in self.expected.values()}
        for expected in self.active():
            load[expected.owner] += 1
        waiting = [
            expected
            for expected in self.expected.values()
            if expected.status == Status.QUEUED and release.trains(expected.vocabulary, expected.arithmetic)
        ]
        return min(waiting, key=lambda expected: (-expected.priority, load[expected.owner], expected.id), default=None)

    def unfinished(self) -> list[ExpectedJob]:
        return [expected for expected in self.expected.values() if expected.status not in TERMINAL]

    def active(self) -> list[ExpectedJob]:
        return [expected for expected in self.expected.values() if expected.status in ACTIVE]

    def any_job(self, index: int) -> ExpectedJob:
        return list(self.expected.values())[index % len(self.expected)]

    def any_worker(self, index: int) -> Worker:
        """Return a worker; one with an unknown commit may repeat it without asking."""
        return self.workers[index % len(self.workers)]


def test_no_order_of_events_breaks_a_guarantee(database: Database) -> None:
    machine = type("Protocol", (Protocol,), {"database": database})
    short = settings.get_current_profile_name() == "default"
    bounds = settings(max_examples=12, stateful_step_count=30) if short else settings()
    # Without a minimum, Hypothesis ends many runs early.
    run_state_machine_as_test(machine, settings=bounds, _min_steps=bounds.stateful_step_count)
