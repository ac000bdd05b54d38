"""The command `chainrule`: the same entry points for a laptop, for compose and for a process manager.

What each command needs is imported when it runs, so that none waits for another's libraries.
"""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from core.blas import configure_openblas
from core.settings import Settings, SettingsError, read_settings

configure_openblas()  # before any command imports NumPy

app = typer.Typer(
    help="Training as a service. Settings come from CHAINRULE_… variables; the README lists them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.command()
def up() -> None:
    """Start everything on this machine: database, API and worker. One Ctrl-C ends it, a second one at once."""
    from chainrule.instance_lock import CannotStart
    from chainrule.up import run

    with _plainly(CannotStart):
        code = run(read_settings())
    raise typer.Exit(code)


@app.command()
def api() -> None:
    """Serve the HTTP API and the dashboard."""
    settings = _settings()
    from api.server import serve

    with _plainly(OSError):
        serve(settings)


@app.command()
def worker(
    *,
    check: Annotated[bool, typer.Option("--check", help="Only say, by the exit code, whether one lives here.")] = False,
) -> None:
    """Train the jobs that wait, one in each of CHAINRULE_WORKERS processes."""
    settings = _settings()
    if check:
        from worker.liveness import alive, liveness_folder

        raise typer.Exit(0 if alive(liveness_folder(settings.data_dir)) else 1)
    from sqlalchemy.exc import OperationalError

    from core import logging
    from core.store.errors import StoreError
    from worker.app import serve

    logging.configure(settings)
    with _plainly(StoreError, OperationalError, OSError):
        code = serve(settings)
    raise typer.Exit(code)


@app.command()
def migrate() -> None:
    """Bring the database to the tables of this version; harmless when it is there already."""
    settings = _settings()
    from sqlalchemy.exc import OperationalError

    from core.store.errors import StoreError
    from core.store.migrate import upgrade

    with _plainly(StoreError, OperationalError, OSError):
        if settings.database_url is None:
            settings.data_dir.mkdir(parents=True, exist_ok=True)
        upgrade(settings.resolved_database_url)


@app.command()
def doctor() -> None:
    """Check every row against the others and against its file; the exit code is 1 if anything is wrong."""
    settings = _settings()
    from sqlalchemy.exc import OperationalError

    from chainrule.doctor import examine
    from core.blobs.errors import BlobStoreUnavailable
    from core.store.errors import StoreError

    with _plainly(StoreError, OperationalError, BlobStoreUnavailable, OSError):
        report = examine(settings)
    for line in (*report.findings, *report.remarks):
        typer.echo(line)
    typer.echo(f"found wrong: {len(report.findings)}" if report.findings else "nothing is wrong")
    raise typer.Exit(1 if report.findings else 0)


@app.command()
def tidy() -> None:
    """Remove the files that no row names, as workers do by themselves now and then."""
    settings = _settings()
    from sqlalchemy.exc import OperationalError

    from core.blobs.errors import BlobStoreUnavailable
    from core.blobs.storage import open_blobs
    from core.store import garbage
    from core.store.database import open_database

    database = open_database(settings.resolved_database_url)
    with _plainly(OperationalError, BlobStoreUnavailable, OSError):
        removed = garbage.collect(database, open_blobs(settings))
    database.close()
    typer.echo(f"removed: {len(removed)}")


@app.command()
def backup(folder: Annotated[Path, typer.Argument(help="Where to write it: new or empty.")]) -> None:
    """Write all that the embedded service holds into a folder, also while it runs."""
    settings = _settings()
    from sqlite3 import Error

    from chainrule.backup import CannotBackUp, back_up
    from core.blobs.errors import BlobStoreUnavailable

    with _plainly(CannotBackUp, Error, BlobStoreUnavailable, OSError):
        lacking = back_up(settings, folder)
    if lacking:
        typer.echo(f"chainrule: {len(lacking)} files are missing or damaged here too: see `chainrule doctor`", err=True)
        raise typer.Exit(1)


@app.command()
def restore(folder: Annotated[Path, typer.Argument(help="What `chainrule backup` wrote.")]) -> None:
    """Fill a new or empty data folder from a backup; jobs that trained then go on when a service is started."""
    settings = _settings()
    from chainrule.backup import CannotBackUp
    from chainrule.backup import restore as restored
    from chainrule.instance_lock import CannotStart
    from core.blobs.errors import BlobStoreUnavailable

    with _plainly(CannotBackUp, CannotStart, BlobStoreUnavailable, OSError):
        restored(settings, folder)


@app.command()
def demo(
    url: Annotated[
        str | None, typer.Option(envvar="CHAINRULE_URL", help="A running service; else one is started.")
    ] = None,
) -> None:
    """Learn y = 2x and handwritten digits over HTTP, and look on."""
    settings = _settings()
    from httpx import HTTPError

    from chainrule.demo import Disappointed, demonstrate
    from chainrule.service import NoService

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that a service of our own is ended
    with _plainly(HTTPError, Disappointed, NoService, OSError):
        demonstrate(settings, url)


def _settings() -> Settings:
    with _plainly():
        return read_settings()


@contextmanager
def _plainly(*expected: type[Exception]) -> Iterator[None]:
    """Say what was expected to go wrong in one line, and exit with 1."""
    kinds: tuple[type[Exception], ...] = (SettingsError, *expected)
    try:
        yield
    except kinds as error:
        typer.echo(f"chainrule: {_line(error)}", err=True)
        raise typer.Exit(1) from None


def _line(error: Exception) -> str:
    return (str(getattr(error, "orig", None) or error) or type(error).__name__).strip().replace("\n", " ")
