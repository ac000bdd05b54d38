"""What the jobs and datasets of an owner have in total, and the limits of it.

The totals are one row for each owner, changed in the transaction that inserts or deletes a job or a dataset, or ends a
job. A job is counted from its beginning with what it may need, and from its end on with what it has. A transaction
changes its own rows first and the totals last, so that two of them never wait for each other.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert  # compiles for SQLite too: the same ON CONFLICT
from sqlalchemy.orm import Session

from core.jobs.states import TERMINAL
from core.store.errors import LimitReached
from core.store.scope import Scope
from core.store.tables import Checkpoint, Dataset, Job, Totals

MAX_LISTED = 5
"""Jobs or datasets that an error proposes to delete."""


class Amounts(NamedTuple):
    """Amounts of what is stored: those of an owner, those of one job or dataset, or the limits of an owner's."""

    jobs: int = 0
    spec_bytes: int = 0
    checkpoint_bytes: int = 0
    metric_rows: int = 0
    datasets: int = 0
    dataset_bytes: int = 0

    def plus(self, other: "Amounts") -> "Amounts":
        """Return the sums."""
        return Amounts._make(map(sum, zip(self, other, strict=True)))

    def negative(self) -> "Amounts":
        """Return what to add when this is deleted."""
        return Amounts._make(-amount for amount in self)


UNITS: Mapping[str, str] = MappingProxyType(
    {
        "jobs": "jobs",
        "spec_bytes": "bytes of job specs",
        "checkpoint_bytes": "bytes of checkpoints",
        "metric_rows": "metric rows",
        "datasets": "datasets",
        "dataset_bytes": "bytes of datasets",
    }
)
"""The words for each amount in messages."""


def of_job(job: Job) -> Amounts:
    """Return the amounts that a job counts for."""
    return Amounts(1, job.spec_bytes, job.checkpoint_bytes, job.metric_rows)


def of_dataset(dataset: Dataset) -> Amounts:
    """Return the amounts that a dataset counts for."""
    return Amounts(datasets=1, dataset_bytes=dataset.bytes)


def of_all(s: Session) -> Amounts:
    """Return the totals over all owners."""
    row = s.execute(select(*(func.coalesce(func.sum(getattr(Totals, name)), 0) for name in Amounts._fields))).one()
    return Amounts._make(map(int, row))


def add(s: Session, owner: str, added: Amounts) -> None:
    """Add to an owner's totals, which stay locked until the transaction ends: call it last."""
    new = insert(Totals).values(owner=owner, **added._asdict())
    sums = {name: getattr(Totals, name) + new.excluded[name] for name in Amounts._fields}
    s.execute(new.on_conflict_do_update(index_elements=["owner"], set_=sums))


def settle(s: Session, job: Job) -> Job:
    """Count a job that has just ended with what it has, instead of what it might have needed."""
    used = select(func.coalesce(func.sum(Checkpoint.bytes), 0)).where(Checkpoint.job_id == job.id).scalar_subquery()
    before = of_job(job)
    actual = {"checkpoint_bytes": used, "metric_rows": Job.recorded}
    ended = s.scalars(update(Job).where(Job.id == job.id).values(actual).returning(Job)).one()
    add(s, ended.owner, of_job(ended).plus(before.negative()))
    return ended


def require_room(
    s: Session, scope: Scope, limits: Amounts, new: Amounts, *, owner: str | None = None, counted: bool = False
) -> None:
    """Check that the totals of the owner of new rows stay within the limits with `new`.

    Only amounts that `new` has are checked: a dataset is not refused because of jobs. Where `new` is in the totals
    already (`counted`), the check is exact: the transaction has locked them.

    Raises
    ------
    LimitReached
        With the largest ended jobs, or unused datasets, whose deletion makes room.
    """
    owner = scope.owner_of_new(owner)
    before = _of_owner(s, owner).plus(new.negative() if counted else Amounts())
    for name, used, limit, added in zip(Amounts._fields, before, limits, new, strict=True):
        if added and used + added > limit:
            raise LimitReached(name, UNITS[name], used, added, limit, _largest(s, owner, name))


def _of_owner(s: Session, owner: str) -> Amounts:
    row = s.execute(select(*(getattr(Totals, name) for name in Amounts._fields)).where(Totals.owner == owner)).first()
    return Amounts._make(row) if row else Amounts()


def _largest(s: Session, owner: str, name: str) -> Sequence[tuple[str, int]]:
    """Return id and amount of what can be deleted: the largest, or the oldest where each counts as one."""
    if name in {"datasets", "dataset_bytes"}:
        used = select(Job.id).where(Job.dataset_id == Dataset.id, Job.status.not_in(sorted(TERMINAL))).exists()
        rows = select(Dataset.id, Dataset.bytes).where(Dataset.owner == owner, ~used)
        rows = rows.order_by(*([Dataset.bytes.desc()] if name == "dataset_bytes" else []), Dataset.id)
    else:
        amount = getattr(Job, "metric_rows" if name == "jobs" else name)
        rows = select(Job.id, amount).where(Job.owner == owner, Job.status.in_(sorted(TERMINAL)))
        rows = rows.order_by(*([] if name == "jobs" else [amount.desc()]), Job.id)
    return [(row[0], row[1]) for row in s.execute(rows.limit(MAX_LISTED))]


def counted(s: Session) -> dict[str, Amounts]:
    """Return the totals of each owner, counted from the rows of jobs and datasets: what `Totals` must have."""
    jobs = s.execute(
        select(
            Job.owner, func.count(), func.sum(Job.spec_bytes), func.sum(Job.checkpoint_bytes), func.sum(Job.metric_rows)
        ).group_by(Job.owner)
    )
    found = {owner: Amounts(*map(int, amounts)) for owner, *amounts in jobs}
    for owner, count, size in s.execute(
        select(Dataset.owner, func.count(), func.sum(Dataset.bytes)).group_by(Dataset.owner)
    ):
        found[owner] = found.get(owner, Amounts())._replace(datasets=count, dataset_bytes=int(size))
    return found


def stored(s: Session) -> dict[str, Amounts]:
    """Return the rows of `Totals` by owner."""
    rows = s.execute(select(Totals.owner, *(getattr(Totals, name) for name in Amounts._fields)))
    return {owner: Amounts._make(amounts) for owner, *amounts in rows}


def recount(s: Session) -> None:
    """Recount all totals: a version without them may have written to the database.

    The rows are locked before they are counted. What another transaction has inserted by then, and not committed, is
    not counted here, and added by that transaction afterwards.
    """
    for owner in counted(s):
        s.execute(insert(Totals).values(owner=owner, **Amounts()._asdict()).on_conflict_do_nothing())
    owners = list(s.scalars(select(Totals.owner).order_by(Totals.owner).with_for_update()))
    found = counted(s)
    for owner in owners:
        s.execute(update(Totals).where(Totals.owner == owner).values(found.get(owner, Amounts())._asdict()))
