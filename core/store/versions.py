"""Versions of the service that use one database: which have, which may start, and which job waits for another one."""

from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias

from sqlalchemy import and_, func, not_, or_, select, update
from sqlalchemy.dialects.postgresql import insert  # compiles for SQLite too: the same ON CONFLICT
from sqlalchemy.orm import Session

from core.jobs.states import Status
from core.store.clock import is_far_ahead, is_past, microseconds, now
from core.store.database import Database
from core.store.errors import OlderVersion
from core.store.scope import Scope
from core.store.tables import Job, ServiceVersion
from core.versions import THIS, Release, is_older, newest

Part: TypeAlias = Literal["api", "worker"]

SEEN_SECONDS = 10.0
"""Seconds between two records that a version is alive."""
ALIVE_SECONDS = 60.0
"""Seconds without such a record after which no worker of that version counts as alive."""
MAX_WAITING_VERSIONS = 20
"""Versions that `waiting_jobs` lists at most."""


class WaitingJobs(NamedTuple):
    """A version that queued jobs wait for, and how many."""

    version: str
    jobs: int


def require_not_older(s: Session, release: Release = THIS) -> None:
    """Check that no newer version has used this database.

    Raises
    ------
    OlderVersion
        If one has.
    """
    last = newest(list(s.scalars(select(ServiceVersion.version))))
    if last is not None and is_older(release.version, last):
        raise OlderVersion(release.version, last)


def start(database: Database, part: Part, *, allow_older: bool, release: Release = THIS) -> None:
    """Record that a process of this version starts, unless a newer version has used the database.

    Raises
    ------
    OlderVersion
        If one has, and `allow_older` is false.
    """
    with database.begin() as s:
        if not allow_older:
            require_not_older(s, release)
        record_start(s, part, release)


def record_start(s: Session, part: Part, release: Release = THIS) -> None:
    """Record that a process of this version starts."""
    new = insert(ServiceVersion).values(part=part, **release._asdict(), started_at=now(), seen_at=now())
    changed = {name: new.excluded[name] for name in ("vocabulary", "arithmetic", "started_at", "seen_at")}
    s.execute(new.on_conflict_do_update(index_elements=["part", "version"], set_=changed))


def record_alive(s: Session, part: Part, release: Release = THIS) -> None:
    """Record that a process of this version is alive, at most every `SEEN_SECONDS` for all of them together."""
    own = ServiceVersion.part == part, ServiceVersion.version == release.version
    due = is_past(ServiceVersion.seen_at, now() - microseconds(SEEN_SECONDS))
    s.execute(update(ServiceVersion).where(*own, due).values(seen_at=now()))


def record_stop(s: Session, part: Part, release: Release = THIS) -> None:
    """Record that a process of this version ends; others of the same version record soon that they are alive."""
    own = ServiceVersion.part == part, ServiceVersion.version == release.version
    s.execute(update(ServiceVersion).where(*own).values(seen_at=0))


def live_workers(s: Session) -> list[Release]:
    """Return the versions of the workers that are alive."""
    columns = ServiceVersion.version, ServiceVersion.vocabulary, ServiceVersion.arithmetic
    alive = ServiceVersion.seen_at > now() - microseconds(ALIVE_SECONDS), not_(is_far_ahead(ServiceVersion.seen_at))
    rows = s.execute(select(*columns).where(ServiceVersion.part == "worker", *alive))
    return [Release(*row) for row in rows]


def awaited_versions(s: Session, jobs: Sequence[Job]) -> dict[str, str]:
    """Return, for each of these jobs that no worker here can train, the version that it waits for, by the job's id."""
    queued = [job for job in jobs if job.status == Status.QUEUED]
    if not queued:
        return {}
    here = _trainers(s)
    return {job.id: _name(job.version) for job in queued if not any(_trains(one, job) for one in here)}


def waiting_jobs(s: Session, scope: Scope) -> list[WaitingJobs]:
    """Return how many queued jobs no worker here can train, by the version that they wait for."""
    trained = [and_(Job.vocabulary <= one.vocabulary, Job.arithmetic <= one.arithmetic) for one in _trainers(s)]
    waiting = Job.status == Status.QUEUED, not_(or_(*trained)), scope.includes(Job.owner)
    counted = select(Job.version, func.count()).where(*waiting).group_by(Job.version).order_by(Job.version)
    return [WaitingJobs(_name(version), count) for version, count in s.execute(counted.limit(MAX_WAITING_VERSIONS))]


def _trainers(s: Session) -> list[Release]:
    """Return the versions of the live workers; without any, this version, since its workers may start at any time."""
    return live_workers(s) or [THIS]


def _trains(release: Release, job: Job) -> bool:
    return release.trains(job.vocabulary, job.arithmetic)


def _name(version: str | None) -> str:
    return version or "unknown"
