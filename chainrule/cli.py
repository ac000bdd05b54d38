"""The command `chainrule`: the same entry points for a laptop, for compose and for a process manager.

Each command imports its libraries when it runs, so that none waits for those of another.
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
    help="Training as a service. Settings are CHAINRULE_… variables, listed in docs/reference/settings.md.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.command()
def up() -> None:
    """Start database, API and worker on this machine. Ctrl-C ends them; a second Ctrl-C kills them."""
    from chainrule.instance_lock import CannotStart
    from chainrule.up import run

    with _errors_in_one_line(CannotStart):
        code = run(read_settings())
    raise typer.Exit(code)


@app.command()
def api() -> None:
    """Serve the HTTP API and the dashboard."""
    settings = _settings()
    from api.server import serve

    with _errors_in_one_line(OSError):
        serve(settings)


@app.command()
def worker(
    *,
    check: Annotated[
        bool, typer.Option("--check", help="Only report by the exit code whether a worker is alive on this machine.")
    ] = False,
) -> None:
    """Train queued jobs, one in each of CHAINRULE_WORKERS processes."""
    settings = _settings()
    if check:
        from worker.liveness import alive, liveness_folder

        raise typer.Exit(0 if alive(liveness_folder(settings.data_dir)) else 1)
    from core import logging
    from core.store.errors import TRANSIENT_DATABASE_ERRORS, StoreError
    from worker.app import serve

    logging.configure(settings)
    with _errors_in_one_line(StoreError, *TRANSIENT_DATABASE_ERRORS, OSError):
        code = serve(settings)
    raise typer.Exit(code)


@app.command()
def migrate() -> None:
    """Migrate the database to the tables of this version; does nothing if it is up to date."""
    settings = _settings()
    from core.store.errors import TRANSIENT_DATABASE_ERRORS, StoreError
    from core.store.migrate import upgrade

    with _errors_in_one_line(StoreError, *TRANSIENT_DATABASE_ERRORS, OSError):
        if settings.database_url is None:
            settings.data_dir.mkdir(parents=True, exist_ok=True)
        upgrade(settings.resolved_database_url)


@app.command()
def doctor() -> None:
    """Check the database and all stored files; the exit code is 1 if there is a problem."""
    settings = _settings()
    from chainrule.doctor import examine
    from core.blobs.errors import BlobStoreUnavailable
    from core.store.errors import TRANSIENT_DATABASE_ERRORS, StoreError

    with _errors_in_one_line(StoreError, *TRANSIENT_DATABASE_ERRORS, BlobStoreUnavailable, OSError):
        report = examine(settings)
    for line in (*report.findings, *report.facts):
        typer.echo(line)
    typer.echo(f"problems found: {len(report.findings)}" if report.findings else "no problems found")
    raise typer.Exit(1 if report.findings else 0)


@app.command()
def tidy() -> None:
    """Remove stored files that no row names. Workers do this regularly."""
    settings = _settings()
    from core.blobs.errors import BlobStoreUnavailable
    from core.blobs.storage import open_blobs
    from core.store import garbage
    from core.store.database import open_database
    from core.store.errors import TRANSIENT_DATABASE_ERRORS, StoreError

    database = open_database(settings.resolved_database_url)
    with _errors_in_one_line(StoreError, *TRANSIENT_DATABASE_ERRORS, BlobStoreUnavailable, OSError):
        removed = garbage.collect(database, open_blobs(settings))
    database.close()
    typer.echo(f"removed: {len(removed)}")


@app.command()
def backup(folder: Annotated[Path, typer.Argument(help="A new or empty folder for the backup.")]) -> None:
    """Copy all data of an embedded service into a folder; the service may be running."""
    settings = _settings()
    from sqlite3 import Error

    from chainrule.backup import CannotBackUp, back_up
    from core.blobs.errors import BlobStoreUnavailable

    with _errors_in_one_line(CannotBackUp, Error, BlobStoreUnavailable, OSError):
        missing = back_up(settings, folder)
    if missing:
        message = f"{len(missing)} files are missing or damaged in the service itself: run `chainrule doctor`"
        typer.echo(f"chainrule: {message}", err=True)
        raise typer.Exit(1)


@app.command()
def restore(folder: Annotated[Path, typer.Argument(help="A folder written by `chainrule backup`.")]) -> None:
    """Fill a new or empty data folder from a backup; unfinished jobs resume when a service starts on it."""
    settings = _settings()
    from chainrule.backup import CannotBackUp
    from chainrule.backup import restore as restore_backup
    from chainrule.instance_lock import CannotStart
    from core.blobs.errors import BlobStoreUnavailable

    with _errors_in_one_line(CannotBackUp, CannotStart, BlobStoreUnavailable, OSError):
        restore_backup(settings, folder)


@app.command()
def demo(
    url: Annotated[
        str | None,
        typer.Option(envvar="CHAINRULE_URL", help="Address of a running service; without it one is started."),
    ] = None,
) -> None:
    """Train y = 2x and handwritten digits over HTTP, with live progress."""
    settings = _settings()
    from httpx import HTTPError

    from chainrule.demo import UnexpectedResult, demonstrate
    from chainrule.service import NoService

    signal.signal(
        signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM)
    )  # also ends a service that the demo has started
    with _errors_in_one_line(HTTPError, UnexpectedResult, NoService, OSError):
        demonstrate(settings, url)


def _settings() -> Settings:
    with _errors_in_one_line():
        return read_settings()


@contextmanager
def _errors_in_one_line(*expected: type[Exception]) -> Iterator[None]:
    """Print an expected error in one line, and exit with 1."""
    kinds: tuple[type[Exception], ...] = (SettingsError, *expected)
    try:
        yield
    except kinds as error:
        typer.echo(f"chainrule: {_line(error)}", err=True)
        raise typer.Exit(1) from None


def _line(error: Exception) -> str:
    return (str(getattr(error, "orig", None) or error) or type(error).__name__).strip().replace("\n", " ")
