"""What a worker process works with from its fork to its end: database, blobs, notifier, and a unique name."""

import gc
import os
import secrets
from dataclasses import dataclass
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

from core.allocator import keep_freed_memory
from core.blobs.blobs import Blobs
from core.blobs.storage import open_blobs
from core.queue.notifier import Notifier
from core.settings import Settings
from core.store.database import Database, open_database
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

    def kernels(self) -> list[dict[str, Any]]:
        """Return the BLAS libraries, on which numbers depend: version, kernel for this processor, current threads."""
        return [
            {
                "library": library["internal_api"],
                "version": library["version"],
                "kernel": library.get("architecture"),
                "threads": library["num_threads"],
            }
            for library in self.blas.select(user_api="blas").info()
        ]


def process_id(name: str, prefix: str) -> int:
    """Return the process id in the name of a worker process whose parent's prefix is `prefix`."""
    return int(name.removeprefix(prefix).partition(":")[0])
