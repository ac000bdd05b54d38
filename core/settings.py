"""What an operator may set, read once from the environment (`CHAINRULE_…`) or from files in `/run/secrets`.

The table in the README is made from this class; an unknown variable or a wrong value is refused at the start.
"""

import os
import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le
from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from core.docstrings import attribute_docstrings

PREFIX = "CHAINRULE_"
SECRETS = Path("/run/secrets")
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
OTHERS = (
    "CHAINRULE_REQUIRE",
    "CHAINRULE_TEST_",
    "CHAINRULE_CHAOS_",
    "CHAINRULE_SOAK_",
    "CHAINRULE_BENCH_",
    "CHAINRULE_URL",
)
"""Read by the tests, the benchmarks and the command-line clients, never by the service: so not unknown either."""

_BUCKET = re.compile(r"(s3|gs|az)://[^/]|file:///.")

Positive = Annotated[int, Gt(0)]
Seconds = Annotated[float, Gt(0), Le(86_400), Field(allow_inf_nan=False)]


class SettingsError(Exception):
    """{variable}: {problem}."""

    def __init__(self, variable: str, problem: str) -> None:
        super().__init__(f"{variable}: {problem}")
        self.variable = variable


class Settings(BaseSettings):
    """The settings of one process, frozen."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        frozen=True,
        extra="forbid",
        env_ignore_empty=True,
        validate_default=True,
    )

    host: str = "127.0.0.1"
    """Address the API listens on. Nothing but this machine can reach the default."""
    port: Annotated[int, Ge(0), Le(65_535)] = 8000
    """Port the API listens on; 0 takes any that is free."""
    data_dir: Path = Path(".chainrule")
    """Folder of the embedded database, the embedded broker, checkpoints and datasets."""
    database_url: str | None = None
    """`sqlite:///…` or `postgresql://…`; without it SQLite in the data folder."""
    blobs_url: str | None = None
    """`s3://…`, `gs://…` or `az://…` for datasets and checkpoints; without it a folder in the data folder."""
    broker_url: str | None = None
    """Celery's broker, such as `redis://…`; without it folders in the data folder."""
    workers: Positive = max(1, CORES // 2)
    """Worker processes, each training one job at a time; by default one for two cores."""
    threads: Positive | None = None
    """Threads of each new job: BLAS's, or processes that share a batch; by default the cores divided by the workers."""
    lease_seconds: Annotated[Seconds, Ge(1)] = 30.0
    """How long a worker may be silent before its job is given to another."""
    lease_check_seconds: Seconds = 2.0
    """How often lost and waiting jobs are looked for."""
    log_format: Literal["console", "json"] = "console"
    """Log lines for people or for machines."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least severe lines that are logged."""
    max_body_bytes: Positive = 16 * 2**20
    """Largest JSON body."""
    max_upload_bytes: Positive = 2**30
    """Largest dataset file."""
    max_parameters: Positive = 50_000_000
    """Most weights a net may have."""
    max_memory_bytes: Positive = 4 * 2**30
    """Most memory a job may need by its estimate."""
    max_flops: Positive = 10**12
    """Most floating-point operations a training step may need."""
    max_cells: Positive = 100_000_000
    """Most rows × columns of a dataset."""
    client_seconds: Seconds = 30.0
    """How long a client may take for its headers, and for its body beside a second for each half kilobyte."""
    max_connections: Positive = 4096
    """Most connections at a time, streams too; one more is answered 503."""
    inspect_seconds: Seconds = 120.0
    """Most seconds that reading an upload for the first time may take."""
    inspect_bytes: Annotated[int, Ge(2**28)] = 2**30
    """Most memory that it may take."""
    max_queued: Positive = 10_000
    """Most jobs that may wait for a worker; beyond it a POST is answered 429."""

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, url: str | None) -> str | None:
        if url is None or url.startswith(("sqlite:///", "postgresql://", "postgresql+psycopg://")):
            return url
        raise ValueError("begins with sqlite:/// or postgresql://")

    @field_validator("blobs_url")
    @classmethod
    def _known_bucket(cls, url: str | None) -> str | None:
        if url is None:
            return url
        if not _BUCKET.match(url):
            raise ValueError("is an address such as s3://bucket/prefix, gs://…, az://… or file:///…")
        if find_spec("obstore") is None:
            raise ValueError("needs obstore: install chainrule[bucket]")
        return url

    @field_validator("broker_url")
    @classmethod
    def _url_of_broker(cls, url: str | None) -> str | None:
        if url is None or "://" in url:
            return url
        raise ValueError("is a URL such as redis://127.0.0.1:6379/0")

    @property
    def resolved_database_url(self) -> str:
        """The database's URL, given or by default."""
        return self.database_url or f"sqlite:///{self.data_dir.absolute() / 'chainrule.db'}"

    @property
    def resolved_broker_url(self) -> str:
        """The broker's URL, given or by default."""
        return self.broker_url or "filesystem://"

    @property
    def blob_dir(self) -> Path:
        """Folder of checkpoints and datasets."""
        return self.data_dir / "blobs"

    @property
    def job_threads(self) -> int:
        """Threads that a job pins when it is made."""
        return self.threads or max(1, CORES // self.workers)

    @classmethod
    def table(cls) -> list[tuple[str, str, str]]:
        """(variable, default, meaning) of each setting, for the README."""
        meanings = attribute_docstrings(cls)
        return [(variable(name), _shown(name, field.default), _line(meanings[name])) for name, field in _fields()]


def read_settings(secrets: Path = SECRETS, **changes: Any) -> Settings:
    """The settings of this process; `changes` (a command's options) go before the environment, that before secrets.

    Raises
    ------
    SettingsError
        an unknown variable, or a value that is none.
    """
    _refuse_unknown(os.environ)
    sources: dict[str, Any] = {"_secrets_dir": secrets if secrets.is_dir() else None}
    try:
        return Settings(**sources, **changes)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise SettingsError(variable(str(first["loc"][0])), first["msg"].removeprefix("Value error, ")) from None


def variable(name: str) -> str:
    """The environment variable of a field."""
    return PREFIX + name.upper()


def _fields() -> list[tuple[str, Any]]:
    return list(Settings.model_fields.items())


def _refuse_unknown(environment: Mapping[str, str]) -> None:
    known = {variable(name) for name, _ in _fields()}
    for name in sorted(environment):
        if name.startswith(PREFIX) and name not in known and not name.startswith(OTHERS):
            raise SettingsError(name, "is no setting; the README lists them all")


COMPUTED = {
    "workers": "cores ÷ 2",
    "threads": "cores ÷ workers",
    "database_url": "SQLite",
    "broker_url": "folders",
    "blobs_url": "a folder",
}


def _shown(name: str, default: Any) -> str:
    return COMPUTED.get(name, str(default))


def _line(text: str) -> str:
    return " ".join(text.split())
