"""The promises of the job's life, on the real queries: workers that die, wake late and lose answers, in any order.

The model beside the database knows who rightly holds what; after each step both must tell the same.
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
from core.store import events, jobs, leases
from core.store.database import Database
from core.store.errors import Fenced, WrongState
from core.store.events import LogRow, MetricRow
from core.store.guards import FencingToken, GuardedWrite, token_of
from core.store.scope import EVERYTHING
from core.store.tables import Job
from tests.builders import LEASE, a_checkpoint, a_guard, a_job, lapse
from tests.conftest import empty
from tests.core.store.test_jobs import WISHES

LOST = {Status.RUNNING: Status.QUEUED, Status.PAUSING: Status.PAUSED, Status.CANCELLING: Status.CANCELLED}
ENDS = {
    Request.CANCEL: [Status.CANCELLED, Status.SUCCEEDED],
    Request.PAUSE: [Status.PAUSED, Status.FAILED],
    Request.YIELD: [Status.QUEUED, Status.SUCCEEDED],
    None: [Status.SUCCEEDED, Status.FAILED, Status.QUEUED],
}


Method = TypeVar("Method", bound=Callable[..., None])


@dataclass
class Known:
    """What is true of a job."""

    id: str
    owner: str
    priority: int
    status: Status = Status.QUEUED
    fence: int = 0
    writes: int = 0
    rows: int = 0
    saved: int = 0
    lost_workers: int = 0
    told: list[Status] = field(default_factory=lambda: [Status.QUEUED])


@dataclass
class Worker:
    """What one worker believes, rightly or not; `unsure` that its last commit happened, which wrote so many rows."""

    token: FencingToken
    rows: int
    unsure: int | None = None


class CommitLost(Exception):
    """The answer to a commit did not arrive."""


ANSWERS = st.sampled_from(["arrives", "arrives", "lost", "never sent"])
INDEX = st.integers(0, 1_000)
FEW = st.integers(0, 4)
JOBS = 2  # few, so that workers meet over the same one


def always(_: "Protocol") -> bool:
    """What can happen at any time."""
    return True


@dataclass(frozen=True)
class Action:
    """Something that may happen: its method, when it can, and what its arguments are drawn from."""

    name: str
    possible: Callable[["Protocol"], object]
    weight: int
    arguments: dict[str, st.SearchStrategy[Any]]


ACTIONS: list[Action] = []


def action(
    possible: Callable[["Protocol"], object], weight: int = 1, **arguments: st.SearchStrategy[Any]
) -> Callable[[Method], Method]:
    """Marks a method of the model. (As rules of their own most of them would be left out of most runs.)"""

    def mark(method: Method) -> Method:
        ACTIONS.append(Action(method.__name__, possible, weight, arguments))
        return method

    return mark


class Protocol(RuleBasedStateMachine):
    """Jobs, clients and workers."""

    database: Database

    @rule(data=st.data())
    def something_happens(self, data: st.DataObject) -> None:
        possible = [one for one in ACTIONS for _ in range(one.weight) if one.possible(self)]
        chosen = data.draw(st.sampled_from(possible), "what")
        arguments = {name: data.draw(strategy, name) for name, strategy in chosen.arguments.items()}
        getattr(self, chosen.name)(**arguments)

    def __init__(self) -> None:
        super().__init__()
        empty(self.database)
        self.known: dict[str, Known] = {}
        self.workers: list[Worker] = []
        self.read: dict[str, tuple[int, int]] = {}

    # What clients do

    @action(
        lambda self: len(self.alive()) < JOBS and len(self.known) < 3 * JOBS,
        2,
        owner=st.sampled_from(["ann", "bob"]),
        priority=st.integers(0, 1),
    )
    def post(self, owner: str, priority: int) -> None:
        with self.database.begin() as s:
            job = a_job(s, owner=owner, priority=priority)
        self.known[job.id] = Known(job.id, owner, priority)

    @action(lambda self: self.known, index=INDEX, wish=st.sampled_from(sorted(WISHES)))
    def wish(self, index: int, wish: str) -> None:
        ask, granted = WISHES[wish]
        known = self.any_job(index)
        target = granted.get(known.status)
        try:
            with self.database.begin() as s:
                ask(s, EVERYTHING, known.id)
        except WrongState:
            assert target is None
        else:
            assert target is not None
            if target != known.status:
                self.move(known, target)

    @action(lambda self: self.known, index=INDEX)
    def delete(self, index: int) -> None:
        known = self.any_job(index)
        try:
            with self.database.begin() as s:
                jobs.delete(s, EVERYTHING, known.id)
        except WrongState:
            assert known.status not in TERMINAL
        else:
            assert known.status in TERMINAL
            del self.known[known.id]

    # What workers do, rightly or late

    @action(always, 4, answer=ANSWERS)
    def claim(self, answer: str) -> None:
        with self.committing(answer) as s:
            job = leases.claim(s, f"w{len(self.workers)}", LEASE)
        expected = self.next_due()
        if expected is None or answer == "never sent":
            assert (job is None) == (expected is None)
            return
        assert job is not None
        assert job.id == expected.id
        self.move(expected, Status.RUNNING, fence=expected.fence + 1, writes=0)
        if answer == "arrives":  # else nobody knows that the job is held, until its lease runs out
            self.workers.append(Worker(token_of(job), job.recorded))

    @action(
        lambda self: self.workers,
        index=INDEX,
        rows=st.integers(0, 4),
        logs=st.integers(0, 1),
        save=st.booleans(),
        answer=ANSWERS,
    )
    def write(self, index: int, rows: int, logs: int, save: bool, answer: str) -> None:
        worker = self.any_worker(index)

        def work(s: Session) -> GuardedWrite:
            numbers = range(worker.rows, worker.rows + rows)
            stream = [MetricRow(n, 1, "train", "loss", float(n)) for n in numbers]
            guarded = a_guard(s, worker.token, events=rows + logs, recorded=rows, step=worker.rows + rows)
            events.append(s, guarded, stream, logs=[LogRow("hm")] * logs)
            if save:
                a_checkpoint(s, guarded.token, step=worker.rows + rows)
            return guarded

        def happened(known: Known) -> None:
            known.writes += 1
            known.rows += rows
            if save and known.rows > known.saved:
                known.saved, known.lost_workers = known.rows, 0

        self.attempt(worker, work, happened, rows, answer)

    @action(lambda self: self.workers, index=INDEX, choice=INDEX, answer=ANSWERS)
    def leave(self, index: int, choice: int, answer: str) -> None:
        worker = self.any_worker(index)
        chosen: list[Status] = []

        def work(s: Session) -> GuardedWrite:
            guarded = a_guard(s, worker.token)
            ends = ENDS[guarded.request]
            chosen.append(ends[choice % len(ends)])
            leases.release(s, guarded.token, chosen[0], message="left", actor="w")
            return guarded

        def happened(known: Known) -> None:
            known.writes += 1
            self.move(known, chosen[0])

        self.attempt(worker, work, happened, 0, answer)

    @action(lambda self: any(worker.unsure is not None for worker in self.workers), index=INDEX)
    def settle(self, index: int) -> None:
        unsure = [worker for worker in self.workers if worker.unsure is not None]
        worker = unsure[index % len(unsure)]
        known = self.known.get(worker.token.job_id)
        lost = known is None or known.fence != worker.token.fence
        try:
            with self.database.read() as s:
                following = leases.resolve_commit(s, worker.token)
        except Fenced:
            assert lost
            self.workers.remove(worker)
            return
        assert known is not None
        assert not lost
        assert known.writes == worker.token.writes + (following is not None)
        if following is not None:
            assert worker.unsure is not None
            worker.token, worker.rows = following, worker.rows + worker.unsure
        worker.unsure = None

    @action(lambda self: self.workers, index=INDEX)
    def heartbeat(self, index: int) -> None:
        worker = self.any_worker(index)
        known = self.known.get(worker.token.job_id)
        mine = known is not None and known.fence == worker.token.fence and known.status in ACTIVE
        try:
            with self.database.begin() as s:
                leases.renew(s, worker.token, LEASE)
        except Fenced:
            assert not mine
            self.workers.remove(worker)
        else:
            assert mine

    @action(always)
    def shut_down(self) -> None:
        with self.database.begin() as s:
            asked = leases.ask_to_yield(s, "w")
        assert all(self.known[job_id].status == Status.RUNNING for job_id in asked)

    # What happens to workers

    @action(lambda self: self.held(), 3, chosen=st.sets(INDEX, min_size=1))
    def leases_run_out(self, chosen: set[int]) -> None:
        held = self.held()
        lapsed = {held[index % len(held)].id for index in chosen}
        with self.database.begin() as s:
            for job_id in lapsed:
                lapse(s, job_id)
            swept = {job.id for job in leases.requeue_expired(s)}
        assert swept == lapsed
        for job_id in lapsed:
            self.lose(self.known[job_id])

    @action(lambda self: self.known, index=INDEX, behind=st.integers(0, 1))
    def a_parent_sees_a_child_die(self, index: int, behind: int) -> None:
        known = self.any_job(index)
        with self.database.begin() as s:
            job = leases.requeue_lost(s, known.id, known.fence - behind, message="killed")
        assert (job is not None) == (behind == 0 and known.status in ACTIVE)
        if job is not None:
            self.lose(known)

    @action(always)
    def notify(self) -> None:
        due = any(known.status == Status.QUEUED for known in self.known.values())
        with self.database.begin() as s:
            assert leases.notification_due(s, 0.0) == due

    # What is always true

    @invariant()
    def the_database_tells_what_is_true(self) -> None:
        with self.database.read() as s:
            rows = {job.id: job for job in s.scalars(select(Job))}
            assert rows.keys() == self.known.keys()
            for job_id, known in self.known.items():
                self.check(rows[job_id], known)
                self.check_log(s, rows[job_id], known)

    def teardown(self) -> None:
        """At the end all logs are read once more, those too whose jobs say that nothing came."""
        self.read.clear()
        self.the_database_tells_what_is_true()

    def check(self, job: Job, known: Known) -> None:
        told = (job.status, job.fence, job.writes, job.recorded, job.lost_workers)
        assert told == (known.status, known.fence, known.writes, known.rows, known.lost_workers)
        assert (job.worker is None) == (job.lease_until is None) == (known.status not in ACTIVE)
        assert (job.ended_at is not None) == (known.status in TERMINAL)

    def check_log(self, s: Session, job: Job, known: Known) -> None:
        """Read what a job has told, where by its row or by what is known there is something new."""
        last = (job.last_seq, known.rows + len(known.told))
        if self.read.get(job.id) == last:
            return
        self.read[job.id] = last
        log = events.after(s, EVERYTHING, job.id, 0)
        assert [row.seq for row in log] == list(range(1, job.last_seq + 1)), "a hole, a double or a disorder"
        assert [row.value for row in log if row.kind == "metric"] == [float(n) for n in range(known.rows)]
        assert [row.data["status"] for row in log if row.kind == "status" and row.data] == known.told
        assert [change.status for change in jobs.transitions(s, EVERYTHING, job.id)] == known.told
        for before, after in zip(known.told, known.told[1:], strict=False):
            assert after in TRANSITIONS[before]

    # How the model follows

    def attempt(
        self,
        worker: Worker,
        work: Callable[[Session], GuardedWrite],
        happened: Callable[[Known], None],
        rows: int,
        answer: str,
    ) -> None:
        """A guarded transaction of a worker, who may have lost the job and whose commit's answer may be lost."""
        known = self.known.get(worker.token.job_id)
        mine = known is not None and known.status in ACTIVE
        mine = mine and known is not None and (known.fence, known.writes) == (worker.token.fence, worker.token.writes)
        try:
            with self.committing(answer) as s:
                guarded = work(s)
        except Fenced:
            assert not mine
            self.workers.remove(worker)
            return
        assert known is not None
        assert mine, "one that lost its job wrote"
        if answer != "never sent":
            happened(known)
        if answer == "arrives":
            worker.token, worker.rows, worker.unsure = guarded.token, worker.rows + rows, None
        else:
            worker.unsure = rows

    @contextmanager
    def committing(self, answer: str) -> Any:
        """A transaction that happens, unless its commit was never sent."""
        try:
            with self.database.begin() as s:
                yield s
                if answer == "never sent":
                    raise CommitLost
        except CommitLost:
            pass

    def lose(self, known: Known) -> None:
        target = LOST[known.status]
        lost_workers = known.lost_workers + 1
        if target == Status.QUEUED and lost_workers >= leases.MAX_LOST_WORKERS:
            target = Status.FAILED
        self.move(known, target, fence=known.fence + 1, lost_workers=lost_workers)

    def move(self, known: Known, target: Status, **changes: Any) -> None:
        self.known[known.id] = replace(known, status=target, told=[*known.told, target], **changes)

    def next_due(self) -> Known | None:
        load = {known.owner: 0 for known in self.known.values()}
        for known in self.held():
            load[known.owner] += 1
        waiting = [known for known in self.known.values() if known.status == Status.QUEUED]
        return min(waiting, key=lambda known: (-known.priority, load[known.owner], known.id), default=None)

    def alive(self) -> list[Known]:
        return [known for known in self.known.values() if known.status not in TERMINAL]

    def held(self) -> list[Known]:
        return [known for known in self.known.values() if known.status in ACTIVE]

    def any_job(self, index: int) -> Known:
        return list(self.known.values())[index % len(self.known)]

    def any_worker(self, index: int) -> Worker:
        """One of the workers; who is unsure of its last commit tries it again without asking."""
        return self.workers[index % len(self.workers)]


def test_no_order_of_events_breaks_a_promise(database: Database) -> None:
    machine = type("Protocol", (Protocol,), {"database": database})
    short = settings.get_current_profile_name() == "default"
    bounds = settings(max_examples=12, stateful_step_count=30) if short else settings()
    # Left to itself Hypothesis ends many runs early.
    run_state_machine_as_test(machine, settings=bounds, _min_steps=bounds.stateful_step_count)
