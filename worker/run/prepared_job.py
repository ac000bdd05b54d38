"""A job ready to train: its spec, network and data, read from the job's row and its dataset."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.blobs.blobs import Blobs
from core.blobs.errors import DamagedBlob, NoSuchBlob
from core.data.prepare import Prepared, prepare, signature
from core.data.schema import Schema
from core.data.sources.source import StoredDataset
from core.data.targets.classes import Classes
from core.jobs.cadence import Cadence
from core.jobs.resolve import Resolved, resolve
from core.jobs.spec import JobSpec, parse_stored
from core.models.model import describe
from core.nn.step.state import State, start
from core.store import datasets, jobs, specs
from core.store.checkpoints import CONTINUE, START
from core.store.database import Database
from core.store.scope import EVERYTHING
from core.store.tables import Spec
from worker.run.checkpointer import LoadedCheckpoint
from worker.run.errors import DamagedDataset, DamagedSpec
from worker.run.progress import SampleCounter


@dataclass(frozen=True, eq=False)
class PreparedJob:
    """A job's spec, its resolved form and its data."""

    spec: JobSpec
    resolved: Resolved
    data: Prepared

    @property
    def cadence(self) -> Cadence:
        """The steps and epochs that write rows."""
        return Cadence.of(self.resolved.training, len(self.data.x))

    @property
    def sample_counter(self) -> SampleCounter:
        """Counts the samples of training steps."""
        return SampleCounter(len(self.data.x), self.resolved.training.batch_size)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes that the net tells apart; none for other targets."""
        target = self.data.target
        return target.names if isinstance(target, Classes) else ()

    def initial_state(self, checkpoint: LoadedCheckpoint | None) -> State:
        """Return the state to start with: that of the checkpoint, or a new one, possibly with another job's weights.

        With another job's weights, the best weights are set at the end of the first epoch, as for any new state.

        Raises
        ------
        UnknownCheckpoint
            The checkpoint is of another version.
        """
        if checkpoint is not None and checkpoint.reason != START:
            state = checkpoint.saved.state_of(self.resolved.network, self.spec.optimizer)
            state.stop = None if checkpoint.reason == CONTINUE else state.stop
            return state
        state = start(self.resolved.network, self.spec.optimizer, self.spec.training.seed)
        if checkpoint is not None:
            chosen = self.spec.start_from and self.spec.start_from.checkpoint
            with checkpoint.saved.known("weights"):
                weights, statistics = checkpoint.saved.weights_and_statistics("best" if chosen == "best" else "last")
                np.copyto(state.weights, weights)
                np.copyto(state.statistics, statistics)
        return state

    def model(self) -> Mapping[str, Any]:
        """Return what a prediction needs besides the weights."""
        return describe(self.spec.architecture, self.resolved.loss, self.data.features, self.data.target)


def prepare_job(database: Database, blobs: Blobs, job_id: str) -> PreparedJob:
    """Read a job and its dataset, and make them ready to train.

    Raises
    ------
    UnknownSpec
        Another version accepted the job's spec.
    InvalidData, InvalidSpec, DamagedDataset, DamagedSpec, NoSuchDataset
        What was valid when the job was posted is not valid any more.
    """
    with database.read() as s:
        posted = jobs.spec(s, EVERYTHING, job_id)
    spec = parse_stored(_text(blobs, posted))
    with database.read() as s:
        dataset = datasets.get(s, EVERYTHING, spec.data.dataset_id) if spec.data.dataset_id else None
    stored = None
    if dataset is not None:
        try:
            path = blobs.fetch_verified(dataset.sha256)
        except (NoSuchBlob, DamagedBlob) as error:
            raise DamagedDataset(DamagedDataset.__doc__) from error
        stored = StoredDataset(path=path, schema=Schema.from_json(dataset.columns))
    resolved = resolve(spec, signature(spec.data, stored.schema if stored else None))
    return PreparedJob(spec, resolved, resolved.fit(prepare(spec.data, stored, spec.training.seed)))


def _text(blobs: Blobs, posted: Spec) -> str:
    try:
        return specs.read_text(blobs, posted)
    except (NoSuchBlob, DamagedBlob) as error:
        raise DamagedSpec(DamagedSpec.__doc__) from error
