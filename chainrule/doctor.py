"""`chainrule doctor`: check the database and every stored file, even while the service runs."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import make_url
from sqlalchemy.exc import DatabaseError, OperationalError

from api.services.storage_limits import storage_limits
from core.blobs.blobs import Blobs
from core.blobs.errors import DamagedBlob, NoSuchBlob
from core.blobs.storage import open_blobs
from core.models.checkpoint import DamagedCheckpoint, decode
from core.settings import Settings
from core.store import totals
from core.store.database import Database, open_database
from core.store.doctor import (
    BlobReference,
    Finding,
    blob_references,
    count_jobs,
    file_damage,
    inconsistencies,
    is_referenced,
)
from core.store.migrate import revision_state
from core.store.totals import Amounts

REMEDIES = {
    "checkpoint": "restore the file from a backup; otherwise its job resumes from the previous checkpoint, or restarts",
    "dataset": "upload the same file again: it replaces the damaged one",
    "spec": "restore the file from a backup, or delete the job and post it again",
}


@dataclass
class Report:
    """The problems found, and facts worth knowing."""

    findings: list[Finding] = field(default_factory=list)
    facts: list[str] = field(default_factory=list)


def examine(settings: Settings) -> Report:
    """Check everything. Raises `OperationalError` if the database is away."""
    path = make_url(settings.resolved_database_url).database or ""
    if settings.resolved_database_url.startswith("sqlite:") and not Path(path).exists():
        return Report([Finding(f"there is no database at {path}", "set CHAINRULE_DATA_DIR to its folder")])
    database = open_database(settings.resolved_database_url)
    report = Report()
    try:
        _check(database, open_blobs(settings), settings, report)
    except OperationalError:
        raise
    except DatabaseError as error:
        report.findings.append(Finding(f"the database cannot be read ({error.orig})", "restore a backup"))
    finally:
        database.close()
    return report


def _check(database: Database, blobs: Blobs, settings: Settings, report: Report) -> None:
    report.findings += file_damage(database)
    revision = revision_state(database.engine)
    if not revision.at_head:
        found = f"the database is at migration {revision.found or 'none'}, and this program needs {revision.wanted}"
        report.findings.append(Finding(found, "run `chainrule migrate`, or use the version that migrated it"))
        return
    with database.read() as s:
        jobs = count_jobs(s)
        report.findings += inconsistencies(s)
        rows = blob_references(s)
        used = totals.of_all(s)
    for row in rows:
        report.findings += _check_file(database, blobs, row)
    kinds = [row.kind for row in rows]
    unnamed = len(set(blobs.old()) - {row.sha256 for row in rows})  # not a problem: left by a crash or a deletion
    report.facts += [
        f"jobs: {jobs}, checkpoints: {kinds.count('checkpoint')}, datasets: {kinds.count('dataset')}",
        f"files that no row names: {unnamed} (a running worker removes them)",
        *_usage(used, storage_limits(settings)),
    ]


def _usage(used: Amounts, limits: Amounts) -> Iterator[str]:
    """Yield what is in use of each limit; unfinished jobs count with what they may need."""
    for unit, amount, limit in zip(totals.UNITS.values(), used, limits, strict=True):
        yield f"{unit}: {amount:,} of {limit:,} ({amount / limit:.1%})"


def _check_file(database: Database, blobs: Blobs, row: BlobReference) -> Iterator[Finding]:
    problem = _file_problem(blobs, row)
    if problem is None:
        return
    with database.read() as s:
        if is_referenced(s, row):
            yield Finding(f"{row.kind} {row.id}: {problem}", REMEDIES[row.kind])


def _file_problem(blobs: Blobs, row: BlobReference) -> str | None:
    try:
        size = blobs.verify(row.sha256)
        if size != row.bytes:
            return f"its file has {size:,} bytes instead of {row.bytes:,}"
        if row.kind == "checkpoint":
            decode(blobs.read(row.sha256))
    except NoSuchBlob:
        return f"its file {row.sha256} is missing"
    except DamagedBlob:
        return f"its file {row.sha256} is damaged"
    except DamagedCheckpoint as error:
        return f"its file {row.sha256} is not a checkpoint ({error})"
    except (OSError, ValueError) as error:
        return f"its file cannot be read ({error})"
    return None
