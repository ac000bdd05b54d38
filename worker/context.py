"""Context of a worker process, from its fork to its end: database, blobs, notifier, and a unique name."""

import gc
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

from core.allocator import keep_freed_memory
from core.blobs.blobs import Blobs
from core.blobs.storage import open_blobs
from core.queue.notifier import Notifier
from core.settings import Settings
from core.store.database import Database, open_database
from core.versions import ARITHMETIC
from worker.shutdown import ShutdownRequest


@dataclass(frozen=True, eq=False)
class WorkerContext:
    """The resources of one worker process."""

    name: str
    """Host, parent's process id, random part, own process id, random part: unique among all workers ever."""
    settings: Settings
    database: Database
    blobs: Blobs
    notifier: Notifier
    stop: ShutdownRequest
    blas: ThreadpoolController

    @classmethod
    def open(cls, settings: Settings, prefix: str, stop: ShutdownRequest) -> "WorkerContext":
        """Open the resources of this process, whose name begins with its parent's `prefix`."""
        np.seterr(all="ignore")  # the training itself checks for numbers that are not finite, and reports where
        keep_freed_memory()
        gc.freeze()  # loaded modules are never freed: collecting them again and again would cost a training 4 %
        return cls(
            name=f"{prefix}{os.getpid()}:{secrets.token_hex(4)}",
            settings=settings,
            database=open_database(settings.resolved_database_url),
            blobs=open_blobs(settings),
            notifier=Notifier(settings),
            stop=stop,
            blas=ThreadpoolController(),
        )

    def computed_with(self) -> str:
        """Return all that the numbers of a training depend on besides the job: arithmetic, libraries, kernels, threads.

        It is text, so that two can be compared and shown.
        """
        libraries = ", ".join(_blas(library) for library in self.blas.select(user_api="blas").info())
        return f"arithmetic {ARITHMETIC}, {_numpy()}, {libraries or 'no BLAS'}"


def _blas(library: Mapping[str, Any]) -> str:
    kernel = library.get("architecture") or "one kernel"
    return f"{library['internal_api']} {library['version']} ({kernel}, threads: {library['num_threads']})"


@cache
def _numpy() -> str:
    """Return the versions of NumPy and of the C library it calls, and the newest instructions that NumPy uses."""
    found: Any = np.show_config(mode="dicts")
    instructions = found["SIMD Extensions"]
    newest = (instructions.get("found") or instructions.get("baseline") or ["no SIMD"])[-1]
    c_library = os.confstr("CS_GNU_LIBC_VERSION") if "CS_GNU_LIBC_VERSION" in os.confstr_names else None
    return f"NumPy {np.__version__} ({newest}), {c_library or 'another C library'}"


def process_id(name: str, prefix: str) -> int:
    """Return the process id in the name of a worker process whose parent's prefix is `prefix`."""
    return int(name.removeprefix(prefix).partition(":")[0])
