"""Builders of jobs for the worker's tests: complete specs with changes, in a database of the test's own."""

import json
from pathlib import Path
from typing import Any

from core.data.prepare import signature
from core.jobs.continuation import Continuation, TrainingProgress, merge_training
from core.jobs.estimate import Limits, estimate_cost
from core.jobs.examples import DOUBLING
from core.jobs.spec import JobSpec
from core.settings import Settings
from core.store import checkpoints, events, jobs
from core.store.database import Database, open_database
from core.store.events import MetricRow
from core.store.migrate import upgrade
from core.store.scope import EVERYTHING
from core.store.tables import Job
from core.store.warm_starts import continuation_of, lock_checkpoint
from worker.context import WorkerContext
from worker.shutdown import ShutdownRequest

SPIRALS: dict[str, Any] = {
    "data": {"type": "builtin", "name": "spirals", "rows": 400, "validation": {"fraction": 0.25}},
    "architecture": {
        "layers": [
            {"type": "dense", "units": 32, "activation": "tanh"},
            {"type": "dropout", "rate": 0.1},
            {"type": "dense", "units": 2},
        ]
    },
    "loss": {"type": "cross_entropy"},
    "optimizer": {"type": "adam", "learning_rate": 0.003},
}
CONVOLUTION = {"type": "conv2d", "filters": 16, "kernel_size": 3, "padding": "same", "activation": "relu"}
IMAGES: dict[str, Any] = {
    "data": {
        "type": "inline",
        "x": [[[[(5 * i + 3 * j + n) % 7 / 7] for j in range(16)] for i in range(16)] for n in range(64)],
        "y": [["odd", "even"][n % 2] for n in range(64)],
    },
    "architecture": {
        "layers": [
            *[CONVOLUTION] * 2,
            "max_pooling2d",
            {"type": "dropout", "rate": 0.1},
            "flatten",
            {"type": "dense", "units": 2},
        ]
    },
    "loss": {"type": "cross_entropy"},
    "optimizer": {"type": "adam", "learning_rate": 0.003},
}
"""Each batch of 32 is split between two processes."""
LONG = 10_000_000
"""Epochs that no test waits to finish."""


def a_spec(base: dict[str, Any] = DOUBLING, **training: Any) -> dict[str, Any]:
    """Return a spec with changed training."""
    return base | {"training": {"epochs": 100, "batch_size": 5, "shuffle": False, "seed": 7} | training}


def a_database(folder: Path) -> Database:
    """Return an embedded database at the newest migration."""
    url = f"sqlite:///{folder / 'chainrule.db'}"
    upgrade(url)
    return open_database(url)


def a_context(folder: Path, **settings: Any) -> WorkerContext:
    """Return a worker context in this process, with an embedded database in the folder."""
    chosen = Settings(data_dir=folder, threads=1, **settings)
    upgrade(chosen.resolved_database_url)
    return WorkerContext.open(chosen, "test:0:0:", ShutdownRequest())


def post_continuation(database: Database, job_id: str, epochs: int) -> str:
    """Post a job that continues one that has ended; return its id."""
    with database.begin() as s:
        job, spec = jobs.with_spec(s, EVERYTHING, job_id)
        last = lock_checkpoint(s, EVERYTHING, job.checkpoint_id or "")
        progress = TrainingProgress(last.epoch, last.step, job.steps or 0, 0.0, job.stop_reason, None)
        origin = continuation_of(job, last, [])
    return post(
        database, merge_training(json.loads(spec.json), Continuation(epochs=epochs), progress), warm_start=origin
    )


def post(database: Database, spec: dict[str, Any], *, threads: int = 1, **columns: Any) -> str:
    """Insert a queued job as the API does; return its id."""
    text = json.dumps(spec)
    parsed = JobSpec.model_validate_json(text)
    cost = estimate_cost(parsed, signature(parsed.data, None), Limits())
    known: dict[str, Any] = {"epochs": parsed.training.epochs, "steps": cost.steps, "memory_bytes": cost.bytes}
    with database.begin() as s:
        return jobs.insert(s, EVERYTHING, name=None, spec=text, metadata={}, threads=threads, **known, **columns).id


def row(database: Database, job_id: str) -> Job:
    """Return the job's row as it is now."""
    with database.read() as s:
        return jobs.get(s, EVERYTHING, job_id)


def metric_rows(database: Database, job_id: str) -> list[MetricRow]:
    """Return the training's metric rows, in order."""
    with database.read() as s:
        return events.stored_rows(s, job_id, 0, 10_000_000)


def log_data(database: Database, job_id: str) -> list[dict[str, Any]]:
    """Return the data of the job's log events."""
    with database.read() as s:
        return [event.data or {} for event in events.after(s, EVERYTHING, job_id, 0, 10_000_000, kinds=["log"])]


def statuses(database: Database, job_id: str) -> list[str]:
    """Return the statuses that the job went through."""
    with database.read() as s:
        return [transition.status.value for transition in jobs.transitions(s, EVERYTHING, job_id)]


def checkpoint_steps(database: Database, job_id: str) -> list[int]:
    """Return the steps of the job's checkpoints, newest first."""
    with database.read() as s:
        return [checkpoint.step for checkpoint in checkpoints.of_job(s, EVERYTHING, job_id)]
