"""One job from its claim to its end: make it ready, train, write what comes of it, and leave it as it should be.

Whatever happens, the row decides: a run that has lost its job writes nothing more.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager
from time import monotonic

import structlog
from sqlalchemy.orm import Session
from structlog.contextvars import bound_contextvars

from core.jobs.states import Request, StopReason
from core.nn.execution.processes import ShardProcessLost
from core.nn.step.state import State
from core.nn.training.learner import Learner
from core.nn.training.options import Diverged, Epoch, Step
from core.store import events, leases
from core.store.checkpoints import KEPT
from core.store.errors import Fenced
from core.store.events import MetricRow
from core.store.guards import GuardedWrite, token_of
from core.store.tables import Job
from worker.context import WorkerContext
from worker.run.checkpointer import Checkpointer
from worker.run.heartbeat import Heartbeat
from worker.run.leased_job import LeasedJob
from worker.run.outcomes import INTERRUPTIONS, REQUESTED, Outcome, completed, diverged, failed, rows_exceeded
from worker.run.prepared_job import PreparedJob, prepare_job
from worker.run.progress import Progress
from worker.run.writer import DatabaseAway, Writer

log = structlog.get_logger(__name__)


def run(context: WorkerContext, job: Job) -> None:
    """Train a job that was just claimed, until it ends, is wanted otherwise, or is another's."""
    leased_job = LeasedJob(context.database, token_of(job), context.name, context.settings.lease_seconds)
    with (
        bound_contextvars(job=job.id),
        context.blas.limit(limits=job.threads, user_api="blas"),
        _writing(context, leased_job) as writer,
    ):
        log.info("job claimed", fence=job.fence, step=job.step)
        try:
            ending = _attempt(context, job, writer)
        except ShardProcessLost as lost:
            log.warning("a process that helped was killed: this one ends as it did", signal=lost.signal)
            _die(lost.signal)
        except Fenced:
            log.warning("job is another's by now: nothing more is written")
        except DatabaseAway:
            log.warning("database is away and the worker has to end: the job is left to its lease")
        else:
            log.info("job left", status=ending.status.value, message=ending.message)


def _die(number: int) -> None:
    """End this process by a signal, so that the job is given back and the death counted."""
    for last in (number, signal.SIGKILL):
        os.kill(os.getpid(), last)


@contextmanager
def _writing(context: WorkerContext, leased_job: LeasedJob) -> Iterator[Writer]:
    with Writer(leased_job, lambda: context.stop.asked) as writer, Heartbeat(writer):
        yield writer


def _attempt(context: WorkerContext, job: Job, writer: Writer) -> Outcome:
    """Do it, and where it cannot be done leave the job as failed; returns what was written of its end."""
    try:
        return JobRun(context, job, writer).go()
    except (Fenced, DatabaseAway, ShardProcessLost):
        raise
    except Exception as error:
        ending = failed(error)
        log.exception("job failed", code=(ending.error or {})["code"])
        return _leave(writer, ending)


class JobRun:
    """A job in training.

    Parameters
    ----------
    desk
        What the child works with.
    job
        The row, as it was claimed.
    writer
        Writes what the training yields.
    """

    def __init__(self, context: WorkerContext, job: Job, writer: Writer) -> None:
        self._stop = context.stop
        self._writer = writer
        self._threads = job.threads
        self._prepared: PreparedJob = writer.patiently(lambda: prepare_job(context.database, context.blobs, job.id))
        limits = self._prepared.spec.limits
        self._checkpointer = Checkpointer(
            context.blobs, writer, self._prepared.model(), context.kernels(), limits.checkpoints or KEPT
        )
        found = self._checkpointer.latest()
        self._state: State = self._prepared.begin(found)
        self._progress = Progress(
            self._state,
            self._prepared.cadence,
            self._prepared.portions,
            emitted=found.emitted if found else 0,
            recorded=job.recorded,
            stored=lambda first, count: _stored(context, job.id, first, count),
            runtime=job.runtime,
            most=limits.rows,
        )

    def go(self) -> Outcome:
        """Train to an end and write it down; returns the ending that was written."""
        self._writer.follow(self._progress)
        ending = self._watch(None)
        if ending is None:
            try:
                ending = self._train()
            except Diverged as fact:
                ending = diverged(fact)
        return self._end(ending)

    def _train(self) -> Outcome:
        """The loop that must cost nothing: a list grows, a flag is looked at."""
        prepared, writer, saves, items = self._prepared, self._writer, self._checkpointer, self._progress.items
        network, loss, training = prepared.resolved.network, prepared.resolved.loss, prepared.resolved.training
        learner = Learner(
            network, loss, prepared.spec.optimizer, training, prepared.data, self._state, threads=self._threads
        )
        with closing(learner):
            for item in learner.train():
                items.append(item)
                if writer.attention or (saves.wants_epoch and item.__class__ is Epoch):
                    ending = self._watch(item)
                    if ending is not None:
                        return ending
        self._writer.emitted()
        return self._too_much() or completed(self._state.stop or StopReason.EPOCHS_COMPLETED)

    def _watch(self, item: Step | Epoch | None) -> Outcome | None:
        """See at a batch boundary what is the matter; an ending, if training shall not go on."""
        self._writer.check()
        if exceeded := self._too_much():
            return exceeded
        if self._state.stop:
            return None  # the training is over, whatever is wanted
        if request := self._writer.leased_job.request:
            return REQUESTED[request]
        if self._stop.asked:
            return REQUESTED[Request.YIELD]
        limit = self._prepared.resolved.training.max_runtime
        seconds = self._progress.seconds
        if limit is not None and seconds >= limit:
            return completed(StopReason.MAX_RUNTIME)
        self._checkpointer.between(self._state, self._progress.latest, epoch_ended=isinstance(item, Epoch))
        self._writer.look_at = min(self._checkpointer.due_at, monotonic() + limit - seconds if limit else float("inf"))
        return None

    def _too_much(self) -> Outcome | None:
        return rows_exceeded(self._prepared.spec.limits.rows or 0) if self._progress.full else None

    def _end(self, ending: Outcome) -> Outcome:
        """Save the state and leave the job; a run that shall go on may do so from an older checkpoint."""
        left: list[Outcome] = [ending]

        def leave(s: Session, guarded: GuardedWrite) -> None:
            left[0] = _leave_by(s, guarded, ending, self._writer.leased_job.worker)

        try:
            self._checkpointer.save(self._state, self._progress.latest, ending.checkpoint, leave)
        except OSError as error:
            if ending.status not in INTERRUPTIONS:
                raise
            log.warning("checkpoint could not be written", error=str(error))
            return _leave(self._writer, ending)
        return left[0]


def _leave(writer: Writer, ending: Outcome) -> Outcome:
    """Leave the job without another checkpoint."""
    left: list[Outcome] = [ending]

    def leave(s: Session, guarded: GuardedWrite) -> None:
        left[0] = _leave_by(s, guarded, ending, writer.leased_job.worker)

    writer.write(leave)
    return left[0]


def _leave_by(s: Session, guarded: GuardedWrite, ending: Outcome, worker: str) -> Outcome:
    """Write the ending, or that of a wish which arrived just now and goes before it."""
    if guarded.request is not None and ending.status in INTERRUPTIONS:
        ending = REQUESTED[guarded.request]
    leases.leave(
        s,
        guarded.token,
        ending.status,
        message=ending.message,
        actor=worker,
        stop_reason=ending.stop_reason,
        error=dict(ending.error) if ending.error else None,
    )
    return ending


def _stored(context: WorkerContext, job_id: str, first: int, count: int) -> list[MetricRow]:
    with context.database.read() as s:
        return events.stored_rows(s, job_id, first, count)
