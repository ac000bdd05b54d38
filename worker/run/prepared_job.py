"""What a job is to learn, read from its row and its dataset and made ready: the spec, the net, the data."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.blobs.folder import Blobs, DamagedBlob, NoSuchBlob
from core.data.prepare import Prepared, Stored, prepare, signature
from core.data.schema import Schema
from core.data.sources.source import DatasetReference
from core.jobs.cadence import Cadence
from core.jobs.resolve import Resolved, resolve
from core.jobs.spec import JobSpec
from core.models.model import describe
from core.nn.step.state import State, start
from core.store import datasets, jobs
from core.store.checkpoints import CONTINUE, START
from core.store.database import Database
from core.store.scope import EVERYTHING
from worker.run.checkpointer import Found
from worker.run.progress import Portions


class DamagedDataset(Exception):
    """The stored bytes of the dataset are not those that were uploaded: upload it again and post the job anew."""


@dataclass(frozen=True, eq=False)
class PreparedJob:
    """A job's spec with everything decided, and its data."""

    spec: JobSpec
    resolved: Resolved
    data: Prepared

    @property
    def cadence(self) -> Cadence:
        """Which steps and epochs leave rows."""
        return Cadence.of(self.resolved.training, len(self.data.x))

    @property
    def portions(self) -> Portions:
        """How the data is cut into steps."""
        return Portions(len(self.data.x), self.resolved.training.batch_size)

    def begin(self, found: Found | None) -> State:
        """The state to begin with: a checkpoint's, or that before the first step, with another job's weights if wanted.

        The best weights of such a start are set at the end of its first epoch, as those of any other.
        """
        if found is not None and found.reason != START:
            state = found.saved.state()
            state.stop = None if found.reason == CONTINUE else state.stop
            return state
        state = start(self.resolved.network, self.spec.optimizer, self.spec.training.seed)
        if found is not None:
            chosen = self.spec.start_from and self.spec.start_from.checkpoint
            weights, statistics = found.saved.weights_and_statistics("best" if chosen == "best" else "last")
            np.copyto(state.weights, weights)
            np.copyto(state.statistics, statistics)
        return state

    def model(self) -> Mapping[str, Any]:
        """What a prediction needs beside the weights."""
        return describe(self.spec.architecture, self.resolved.loss, self.data.features, self.data.target)


def prepare_job(database: Database, blobs: Blobs, job_id: str) -> PreparedJob:
    """Make a job's lesson ready.

    Raises
    ------
    InvalidData, InvalidSpec, DamagedDataset, NoSuchDataset
        what was right when the job was posted is not any more.
    """
    with database.read() as s:
        spec = JobSpec.model_validate_json(jobs.spec(s, EVERYTHING, job_id))
        dataset = datasets.get(s, EVERYTHING, spec.data.id) if isinstance(spec.data, DatasetReference) else None
    stored = None
    if dataset is not None:
        try:
            path = blobs.whole(dataset.sha256)
        except (NoSuchBlob, DamagedBlob) as error:
            raise DamagedDataset(DamagedDataset.__doc__) from error
        stored = Stored(path=path, schema=Schema.from_json(dataset.columns))
    resolved = resolve(spec, signature(spec.data, stored.schema if stored else None))
    return PreparedJob(spec, resolved, resolved.fit(prepare(spec.data, stored, spec.training.seed)))
