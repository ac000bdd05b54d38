"""`chainrule doctor`: is what is stored whole? Looks at every row and its file, also while the service runs."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import make_url
from sqlalchemy.exc import DatabaseError, OperationalError

from core.blobs.blobs import Blobs
from core.blobs.errors import DamagedBlob, NoSuchBlob
from core.blobs.storage import open_blobs
from core.models.checkpoint import DamagedCheckpoint, decode
from core.settings import Settings
from core.store.database import Database, open_database
from core.store.doctor import Finding, Named, contradictions, count_jobs, damage, named, still_named
from core.store.migrate import revision_state

REMEDIES = {
    "checkpoint": "put the file back from a backup; else its job goes on from the checkpoint before, or anew",
    "dataset": "upload the same file again: it takes its place",
}


@dataclass
class Report:
    """What was looked at, what is wrong, and what is only worth knowing."""

    findings: list[Finding] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def examine(settings: Settings) -> Report:
    """Look at everything. Raises `OperationalError` where the database is away."""
    path = make_url(settings.resolved_database_url).database or ""
    if settings.resolved_database_url.startswith("sqlite:") and not Path(path).exists():
        return Report([Finding(f"there is no database at {path}", "name its folder by CHAINRULE_DATA_DIR")])
    database = open_database(settings.resolved_database_url)
    report = Report()
    try:
        _look(database, open_blobs(settings), report)
    except OperationalError:
        raise
    except DatabaseError as error:
        report.findings.append(Finding(f"the database cannot be read ({error.orig})", "restore a backup"))
    finally:
        database.close()
    return report


def _look(database: Database, blobs: Blobs, report: Report) -> None:
    report.findings += damage(database)
    revision = revision_state(database.engine)
    if not revision.at_head:
        found = f"the database is at migration {revision.found or 'none'}, and this program needs {revision.wanted}"
        report.findings.append(Finding(found, "run `chainrule migrate`, or the program that made it"))
        return
    with database.read() as s:
        jobs = count_jobs(s)
        report.findings += contradictions(s)
        rows = named(s)
    for row in rows:
        report.findings += _of_file(database, blobs, row)
    kinds = [row.kind for row in rows]
    unnamed = len(set(blobs.old()) - {row.sha256 for row in rows})  # no fault: a crash or a deletion left them
    report.remarks += [
        f"jobs: {jobs}, checkpoints: {kinds.count('checkpoint')}, datasets: {kinds.count('dataset')}",
        f"files that no row names: {unnamed} (a worker that runs removes them in time)",
    ]


def _of_file(database: Database, blobs: Blobs, row: Named) -> Iterator[Finding]:
    wrong = _wrong(blobs, row)
    if wrong is None:
        return
    with database.read() as s:
        if still_named(s, row):
            yield Finding(f"{row.kind} {row.id}: {wrong}", REMEDIES[row.kind])


def _wrong(blobs: Blobs, row: Named) -> str | None:
    try:
        size = blobs.verify(row.sha256)
        if size != row.bytes:
            return f"its file has {size:,} bytes, its row says {row.bytes:,}"
        if row.kind == "checkpoint":
            decode(blobs.read(row.sha256))
    except NoSuchBlob:
        return f"its file {row.sha256} is missing"
    except DamagedBlob:
        return f"its file {row.sha256} is damaged"
    except DamagedCheckpoint as error:
        return f"its file {row.sha256} is no checkpoint ({error})"
    except (OSError, ValueError) as error:
        return f"its file cannot be read ({error})"
    return None
