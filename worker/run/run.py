"""One job from its claim to its end: prepare it, train it, write its rows, and leave it with its outcome.

The job's row decides: a run that has lost its lease writes nothing more.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from time import monotonic

import structlog
from structlog.contextvars import bound_contextvars

from core.allocator import release_freed_memory
from core.jobs.estimate import CHECKPOINTS_KEPT
from core.jobs.states import Request, StopReason
from core.jobs.warnings import rate_pointer
from core.nn.step.state import State
from core.nn.step.step import ShardProcessKilled
from core.nn.training.learner import Learner
from core.nn.training.options import Diverged, Epoch, Step
from core.store import events
from core.store.errors import Fenced
from core.store.events import MetricRow
from core.store.guards import token_of
from core.store.scope import EVERYTHING
from core.store.tables import TABLES, Job
from core.versions import UnknownVersion
from worker.context import WorkerContext
from worker.run.checkpointer import Checkpointer, LoadedCheckpoint
from worker.run.errors import DatabaseAway
from worker.run.heartbeat import Heartbeat
from worker.run.leased_job import LeasedJob
from worker.run.outcomes import (
    FOR_A_NEWER_VERSION,
    INTERRUPTIONS,
    REQUESTED,
    Outcome,
    completed,
    diverged,
    failed,
    left_to_another_version,
    rows_exceeded,
    rows_left_out,
)
from worker.run.prepared_job import PreparedJob, prepare_job
from worker.run.progress import Progress
from worker.run.reproducibility import begin_run
from worker.run.warnings import RunWarnings
from worker.run.write_batch import WriteBatch
from worker.run.writer import Writer

log = structlog.get_logger(__name__)


def run(context: WorkerContext, job: Job) -> None:
    """Train a job that was just claimed, until it ends, is interrupted, or its lease is lost."""
    leased_job = LeasedJob(context.database, context.blobs, token_of(job), context.name, context.settings.lease_seconds)
    with (
        bound_contextvars(job=job.id),
        context.blas.limit(limits=job.threads, user_api="blas"),
        _running_writer(context, leased_job) as writer,
    ):
        log.info("job claimed", fence=job.fence, step=job.step)
        try:
            outcome = _attempt(context, job, writer)
        except ShardProcessKilled as lost:
            log.warning("a process that computed part of a batch was killed: this one ends as well", signal=lost.signal)
            _kill_self(lost.signal)
        except Fenced:
            log.warning("job was given to another worker: this one writes nothing more")
        except DatabaseAway:
            log.warning("database is away during shutdown: the job is requeued when its lease runs out")
        else:
            log.info("job left", status=outcome.status.value, message=outcome.message)
    release_freed_memory()


def _kill_self(number: int) -> None:
    """End this process by a signal, so that its parent requeues the job and counts a lost worker."""
    for last in (number, signal.SIGKILL):
        os.kill(os.getpid(), last)


@contextmanager
def _running_writer(context: WorkerContext, leased_job: LeasedJob) -> Iterator[Writer]:
    with Writer(leased_job, lambda: context.stop.asked) as writer, Heartbeat(writer):
        yield writer


def _attempt(context: WorkerContext, job: Job, writer: Writer) -> Outcome:
    """Run the job and return the outcome that was stored; a failure is an outcome too."""
    try:
        return JobRun(context, job, writer).run()
    except (Fenced, DatabaseAway, ShardProcessKilled):
        raise
    except UnknownVersion as error:
        log.warning("job is left to another version", reason=str(error))
        batch = WriteBatch(outcome=left_to_another_version(error), columns=FOR_A_NEWER_VERSION)
        return writer.write(batch) or left_to_another_version(error)
    except Exception as error:
        outcome = failed(error)
        log.exception("job failed", code=(outcome.error or {})["code"])
        return writer.write(WriteBatch(outcome=outcome)) or outcome


class JobRun:
    """A job in training.

    Parameters
    ----------
    context
        The worker process's context.
    job
        The row as it was claimed.
    writer
        Writes what the training emits.
    """

    def __init__(self, context: WorkerContext, job: Job, writer: Writer) -> None:
        self._stop = context.stop
        self._writer = writer
        self._threads = job.threads
        self._prepared: PreparedJob = writer.retry(lambda: prepare_job(context.database, context.blobs, job.id))
        limits = self._prepared.spec.limits
        self._max_rows = min(limits.rows or context.settings.max_job_rows, context.settings.max_job_rows)
        self._rows_left_out = job.recorded >= self._max_rows
        computed_with, keep = context.computed_with(), limits.checkpoints or CHECKPOINTS_KEPT
        self._checkpointer = Checkpointer(context.blobs, writer, self._prepared.model(), computed_with, keep)
        checkpoint = self._checkpointer.load()
        self._write_first(begin_run(job, checkpoint, computed_with))
        self._state: State = self._prepared.initial_state(checkpoint)
        self._correct_progress(job)
        self._progress = self._begin_progress(context, job, checkpoint)

    def _correct_progress(self, job: Job) -> None:
        """Set step and epoch to those that a run begins with, and correct the number of steps.

        A lost worker got further than its checkpoint; a split by groups or times shows its rows only now.
        """
        steps = self._prepared.resolved.training.steps(len(self._prepared.data.x))
        true = {"steps": steps, "step": self._state.step, "epoch": self._state.epoch}
        self._writer.set_columns({name: value for name, value in true.items() if getattr(job, name) != value})

    def _write_first(self, batch: WriteBatch) -> None:
        """Write a note before the run's first row; columns alone can wait for that row, to spare a transaction."""
        if batch.note is not None:
            self._writer.write(batch)
        else:
            self._writer.set_columns(batch.columns)

    def _begin_progress(self, context: WorkerContext, job: Job, checkpoint: LoadedCheckpoint | None) -> Progress:
        return Progress(
            self._state,
            self._prepared.cadence,
            self._prepared.sample_counter,
            emitted=checkpoint.emitted if checkpoint else 0,
            recorded=job.recorded,
            read_stored=lambda first, count: _stored_rows(context, job.id, first, count),
            runtime=job.runtime,
            warnings=self._warnings(context, job),
            class_names=self._prepared.class_names,
            tables=(job.latest or {}).get(TABLES, {}),
            max_rows=self._max_rows,
        )

    def _warnings(self, context: WorkerContext, job: Job) -> RunWarnings:
        place = rate_pointer(self._prepared.spec.optimizer)
        found = RunWarnings(job.warnings or [], partial(_first_values, context, job.id), place)
        found.add(self._prepared.data.warnings)
        return found

    def run(self) -> Outcome:
        """Train to an end, store the outcome and return it."""
        self._writer.attach(self._progress)
        outcome = self._check(None)
        if outcome is None:
            try:
                outcome = self._train()
            except Diverged as fact:
                outcome = diverged(fact)
        return self._finish(outcome)

    def _train(self) -> Outcome:
        """Run the training loop. Besides the training, a step appends to a list and reads a flag."""
        prepared, writer, checkpointer, items = self._prepared, self._writer, self._checkpointer, self._progress.items
        network, loss, training = prepared.resolved.network, prepared.resolved.loss, prepared.resolved.training
        learner = Learner(
            network,
            loss,
            prepared.spec.optimizer,
            training,
            prepared.data,
            self._state,
            threads=self._threads,
            in_own_unit=prepared.data.in_own_unit,
        )
        with closing(learner):
            for item in learner.train():
                items.append(item)
                if writer.needs_check or (checkpointer.wants_epoch and item.__class__ is Epoch):
                    outcome = self._check(item)
                    if outcome is not None:
                        return outcome
        writer.emitted_rows()
        return self._row_limit_outcome() or completed(self._state.stop or StopReason.EPOCHS_COMPLETED)

    def _check(self, item: Step | Epoch | None) -> Outcome | None:
        """Check limits, requests and checkpoints at a batch boundary; return an outcome if training must stop."""
        self._writer.check()
        if exceeded := self._row_limit_outcome():
            return exceeded
        if self._state.stop:
            return None  # the training has ended; requests come too late
        if request := self._writer.leased_job.request:
            return REQUESTED[request]
        if self._stop.asked:
            return REQUESTED[Request.YIELD]
        limit = self._prepared.resolved.training.max_runtime
        seconds = self._progress.seconds
        if limit is not None and seconds >= limit:
            return completed(StopReason.MAX_RUNTIME)
        self._checkpointer.save_if_due(self._state, self._progress.latest, epoch_ended=isinstance(item, Epoch))
        self._writer.check_at = min(self._checkpointer.due_at, monotonic() + limit - seconds if limit else float("inf"))
        return None

    def _row_limit_outcome(self) -> Outcome | None:
        """Return an outcome beyond the client's limit; beyond the service's, log once that the rest is dropped."""
        if not self._progress.full:
            return None
        if self._prepared.spec.limits.rows == self._max_rows:
            return rows_exceeded(self._max_rows)
        if not self._rows_left_out:
            self._rows_left_out = True
            self._writer.add_log(rows_left_out(self._max_rows, self._state.step, self._state.epoch))
        return None

    def _finish(self, outcome: Outcome) -> Outcome:
        """Save the state, leave the job and return the stored outcome.

        An interrupted job is left even if the checkpoint cannot be written: it resumes from an older one.
        """
        self._progress.ended = outcome.status not in INTERRUPTIONS
        try:
            checkpoint = self._checkpointer.store(
                self._state, self._progress.latest, outcome.checkpoint_reason, wait_for_bucket=True
            )
            stored = self._writer.write(WriteBatch(checkpoint=checkpoint, outcome=outcome))
        except OSError as error:
            if outcome.status not in INTERRUPTIONS:
                raise
            log.warning("checkpoint could not be written", error=str(error))
            stored = self._writer.write(WriteBatch(outcome=outcome))
        return stored or outcome


def _first_values(context: WorkerContext, job_id: str, name: str, count: int) -> list[float]:
    """Return the first stored values of a metric."""
    with context.database.read() as s:
        return [
            row.value for row in events.metrics(s, EVERYTHING, job_id, limit=count, name=name) if row.value is not None
        ]


def _stored_rows(context: WorkerContext, job_id: str, first: int, count: int) -> list[MetricRow]:
    with context.database.read() as s:
        return events.stored_rows(s, job_id, first, count)
