"""Settings, read once from the environment (`CHAINRULE_…`) or from files in `/run/secrets`.

`docs/reference/settings.md` is generated from the class. An unknown variable or an invalid value is an error at start.
"""

import os
import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le
from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from core.docstrings import attribute_docstrings
from core.spelling import closest

PREFIX = "CHAINRULE_"
SECRETS_DIR = Path("/run/secrets")
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
OTHER_PREFIXES = (
    "CHAINRULE_REQUIRE",
    "CHAINRULE_TEST_",
    "CHAINRULE_CHAOS_",
    "CHAINRULE_SOAK_",
    "CHAINRULE_BENCH_",
    "CHAINRULE_URL",
)
"""Variables of the tests, the benchmarks and the command-line clients, which the service ignores."""

_BLOBS_URL = re.compile(r"(s3|gs|az)://[^/]|file:///.")

_HOST = r"([a-z0-9_]([a-z0-9._-]*[a-z0-9_])?|\[[0-9a-f:.]+\])"
_HOST_NAME = re.compile(_HOST)
_ORIGIN = re.compile(rf"[a-z][a-z0-9+.-]*://{_HOST}(:[0-9]{{1,5}})?")
_DEFAULT_PORT = re.compile(r"http:.*:80|https:.*:443")

_COMPUTED_DEFAULTS = {
    "workers": "cores ÷ 2",
    "threads": "cores ÷ workers",
    "database_url": "SQLite",
    "broker_url": "folders",
    "blobs_url": "a folder",
}
"""Defaults that depend on the machine or on another setting, in words."""

Positive = Annotated[int, Gt(0)]
Seconds = Annotated[float, Gt(0), Le(86_400), Field(allow_inf_nan=False)]


class SettingsError(Exception):
    """{variable}: {problem}."""

    def __init__(self, variable: str, problem: str) -> None:
        super().__init__(f"{variable}: {problem}")
        self.variable = variable


class Settings(BaseSettings):
    """The settings of a process; frozen."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        frozen=True,
        extra="forbid",
        env_ignore_empty=True,
        validate_default=True,
    )

    host: str = "127.0.0.1"
    """Address on which the API listens; the default is reachable from this machine only."""
    port: Annotated[int, Ge(0), Le(65_535)] = 8000
    """Port on which the API listens; 0 chooses a free one."""
    allowed_hosts: str = ""
    """Host names of the API besides `CHAINRULE_HOST` and the loopback names, comma-separated; `*` allows all."""
    cors_origins: str = ""
    """Other origins whose pages may use the API, such as `https://app.example.org`, comma-separated."""
    data_dir: Path = Path(".chainrule")
    """Folder of the embedded database, the embedded broker, checkpoints and datasets."""
    database_url: str | None = None
    """`sqlite:///…` or `postgresql://…`; default: SQLite in the data folder."""
    blobs_url: str | None = None
    """`s3://…`, `gs://…` or `az://…` for datasets and checkpoints; default: a folder in the data folder."""
    broker_url: str | None = None
    """Broker of Celery, such as `redis://…`; default: folders in the data folder."""
    workers: Positive = max(1, CORES // 2)
    """Worker processes; each trains one job at a time. Default: one for every two cores."""
    threads: Positive | None = None
    """BLAS threads, or processes that share a batch, of each new job; default: cores divided by workers."""
    lease_seconds: Annotated[Seconds, Ge(1)] = 30.0
    """Seconds without a heartbeat after which a job is given to another worker."""
    lease_check_seconds: Seconds = 2.0
    """Seconds between two checks for expired leases and queued jobs."""
    shutdown_seconds: Seconds = 50.0
    """Seconds after SIGTERM in which a worker saves its jobs; then it ends, and their leases expire."""
    log_format: Literal["console", "json"] = "console"
    """Format of log lines: for people or for machines."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Lowest level that is logged."""
    max_body_bytes: Positive = 16 * 2**20
    """Maximum size of a JSON body."""
    max_upload_bytes: Positive = 2**30
    """Maximum size of a dataset file."""
    max_bodies_bytes: Positive = 256 * 2**20
    """Maximum bytes of all JSON bodies in progress; one that would be larger than what is left free gets 503."""
    max_uploads_bytes: Positive = 4 * 2**30
    """Maximum bytes of all dataset files in progress; one that would be larger than what is left free gets 503."""
    max_partial_uploads: Positive = 1000
    """Maximum number of uploads that arrive in parts and are not finished; further ones get 507."""
    max_partial_upload_bytes: Positive = 4 * 2**30
    """Maximum declared size of these uploads together; further ones get 507."""
    partial_upload_seconds: Seconds = 86_400.0
    """Seconds without a new part after which an upload that arrives in parts is deleted."""
    max_parameters: Positive = 50_000_000
    """Maximum number of parameters of a network."""
    max_memory_bytes: Positive = 4 * 2**30
    """Maximum memory of a job, as estimated."""
    max_flops: Positive = 10**12
    """Maximum floating-point operations of a training step."""
    max_cells: Positive = 100_000_000
    """Maximum rows × columns of a dataset."""
    client_seconds: Seconds = 30.0
    """Seconds that a client may take for its headers, and for which its body, or its reading of an answer, may pause or
    be slower than 4 kB/s."""
    max_connections: Positive = 4096
    """Maximum number of open connections, streams included; further ones get 503."""
    max_unread_bytes: Annotated[int, Ge(2**20)] = 256 * 2**20
    """Maximum bytes of answers in memory that wait for their readers; beyond that, the longest waiting are cut off."""
    schema_seconds: Seconds = 120.0
    """Maximum seconds for inferring the schema of an upload."""
    schema_memory_bytes: Annotated[int, Ge(2**28)] = 2**30
    """Maximum memory for inferring the schema of an upload."""
    compute_processes: Positive = 2
    """Processes for heavy requests, such as predictions of many rows."""
    compute_queue: Annotated[int, Ge(0)] = 16
    """Maximum number of heavy requests that wait for one of these processes; further ones get 503."""
    compute_seconds: Seconds = 60.0
    """Maximum seconds that a heavy request may wait, and that it may compute."""
    compute_memory_bytes: Annotated[int, Ge(2**29)] = 2 * 2**30
    """Maximum memory of each of these processes."""
    max_answer_bytes: Annotated[int, Ge(2**20)] = 64 * 2**20
    """Maximum size of the answer to a heavy request."""
    max_queued: Positive = 10_000
    """Maximum number of queued and paused jobs; further ones get 429."""
    max_queued_spec_bytes: Positive = 2**30
    """Maximum size of the specs of queued and paused jobs together; further jobs get 429."""
    max_jobs: Positive = 100_000
    """Maximum number of jobs, ended ones included; further ones get 507."""
    max_spec_bytes: Positive = 4 * 2**30
    """Maximum size of the specs of all jobs together; further jobs get 507."""
    max_checkpoint_bytes: Positive = 10 * 2**30
    """Maximum size of the checkpoints of all jobs together, with those that unfinished jobs may need."""
    max_job_rows: Positive = 1_000_000
    """Maximum number of metric rows of a job; it stores no more, and trains on."""
    max_metric_rows: Positive = 100_000_000
    """Maximum number of metric rows of all jobs together, with those that unfinished jobs may write."""
    max_datasets: Positive = 10_000
    """Maximum number of datasets; further ones get 507."""
    max_dataset_bytes: Positive = 10 * 2**30
    """Maximum size of all datasets together; further ones get 507."""
    allow_older: bool = False
    """Whether an API or worker may start on a database that a newer version has used."""

    @field_validator("max_bodies_bytes", "max_uploads_bytes")
    @classmethod
    def _room_for_a_body(cls, size: int, info: ValidationInfo) -> int:
        name = "max_body_bytes" if info.field_name == "max_bodies_bytes" else "max_upload_bytes"
        if size < 2 * info.data.get(name, 0):
            raise ValueError(f"must be at least twice {variable(name)}")
        return size

    @field_validator("allowed_hosts")
    @classmethod
    def _valid_hosts(cls, hosts: str) -> str:
        for host in _listed(hosts):
            if host != "*" and not _HOST_NAME.fullmatch(host):
                raise ValueError("must be host names such as train.example.org, without scheme, port and path, or *")
        return hosts

    @field_validator("cors_origins")
    @classmethod
    def _valid_origins(cls, origins: str) -> str:
        for origin in _listed(origins):
            if not _ORIGIN.fullmatch(origin) or _DEFAULT_PORT.fullmatch(origin):  # no browser sends a default port
                raise ValueError(
                    "must be origins such as https://app.example.org, each with scheme, without path and default port"
                )
        return origins

    @field_validator("database_url")
    @classmethod
    def _known_database_url(cls, url: str | None) -> str | None:
        if url is None or url.startswith(("sqlite:///", "postgresql://", "postgresql+psycopg://")):
            return url
        raise ValueError("must begin with sqlite:/// or postgresql://")

    @field_validator("blobs_url")
    @classmethod
    def _known_blobs_url(cls, url: str | None) -> str | None:
        if url is None:
            return url
        if not _BLOBS_URL.match(url):
            raise ValueError("must be a URL such as s3://bucket/prefix, gs://…, az://… or file:///…")
        if find_spec("obstore") is None:
            raise ValueError("needs the package obstore: install chainrule[bucket]")
        return url

    @field_validator("broker_url")
    @classmethod
    def _known_broker_url(cls, url: str | None) -> str | None:
        if url is None or "://" in url:
            return url
        raise ValueError("must be a URL such as redis://127.0.0.1:6379/0")

    @property
    def allowed_host_names(self) -> frozenset[str]:
        """The host names for which the API answers, in lower case and without brackets, besides the loopback names."""
        return frozenset(host.strip("[]") for host in _listed(f"{self.host},{self.allowed_hosts}"))

    @property
    def allowed_origins(self) -> frozenset[str]:
        """The other origins whose pages may use the API."""
        return frozenset(_listed(self.cors_origins))

    @property
    def resolved_database_url(self) -> str:
        """The URL of the database, given or default."""
        return self.database_url or f"sqlite:///{self.data_dir.absolute() / 'chainrule.db'}"

    @property
    def resolved_broker_url(self) -> str:
        """The URL of the broker, given or default."""
        return self.broker_url or "filesystem://"

    @property
    def blob_dir(self) -> Path:
        """Folder of checkpoints and datasets."""
        return self.data_dir / "blobs"

    @property
    def job_threads(self) -> int:
        """The number of threads with which a new job is trained; it does not change afterwards."""
        return self.threads or max(1, CORES // self.workers)

    @classmethod
    def table(cls) -> list[tuple[str, str, str]]:
        """Return (variable, default, meaning) of each setting, for the reference page."""
        meanings = attribute_docstrings(cls)
        return [(variable(name), _default(name, field.default), _one_line(meanings[name])) for name, field in _fields()]


def read_settings(secrets: Path = SECRETS_DIR, **changes: Any) -> Settings:
    """Return the settings of this process: `changes` (options of a command), else the environment, else secret files.

    Raises
    ------
    SettingsError
        For an unknown variable or an invalid value.
    """
    _refuse_unknown(os.environ)
    sources: dict[str, Any] = {"_secrets_dir": secrets if secrets.is_dir() else None}
    try:
        return Settings(**sources, **changes)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise SettingsError(variable(str(first["loc"][0])), first["msg"].removeprefix("Value error, ")) from None


def variable(name: str) -> str:
    """Return the environment variable of a field."""
    return PREFIX + name.upper()


def _listed(text: str) -> list[str]:
    """Return the parts of a comma-separated list, in lower case."""
    return [part.strip().lower() for part in text.split(",") if part.strip()]


def _fields() -> list[tuple[str, Any]]:
    return list(Settings.model_fields.items())


def _refuse_unknown(environment: Mapping[str, str]) -> None:
    known = {variable(name) for name, _ in _fields()}
    for name in sorted(environment):
        if name.startswith(PREFIX) and name not in known and not name.startswith(OTHER_PREFIXES):
            meant = closest(name.removeprefix(PREFIX), (field for field, _ in _fields()))
            remedy = f": did you mean {variable(meant)}?" if meant else "; docs/reference/settings.md lists all"
            raise SettingsError(name, f"is not a setting{remedy}")


def _default(name: str, default: Any) -> str:
    return _COMPUTED_DEFAULTS.get(name, str(default) or "empty")


def _one_line(text: str) -> str:
    return " ".join(text.split())
