"""Ids in paths: `latest` stands for the newest job or dataset."""

from sqlalchemy.orm import Session

from api.schemas.examples import LATEST
from core.ids import is_id
from core.store import datasets, jobs
from core.store.errors import NoSuchDataset, NoSuchJob
from core.store.scope import Scope


def resolve_job_id(s: Session, scope: Scope, job_id: str) -> str:
    """Return the id itself, or the newest job's id for `latest`. Raise `NoSuchJob` for an impossible id."""
    if job_id == LATEST:
        newest, _ = jobs.page(s, scope, limit=1)
        if newest:
            return newest[0].id
    if not is_id("job", job_id):
        raise NoSuchJob(job_id)
    return job_id


def resolve_dataset_id(s: Session, scope: Scope, dataset_id: str) -> str:
    """Return the id itself, or the newest dataset's id for `latest`. Raise `NoSuchDataset` for an impossible id."""
    if dataset_id == LATEST:
        newest, _ = datasets.page(s, scope, limit=1)
        if newest:
            return newest[0].id
    if not is_id("ds", dataset_id):
        raise NoSuchDataset(dataset_id)
    return dataset_id
