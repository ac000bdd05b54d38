"""What a child works with from its fork to its end: the database, the blobs, the bell, and a name of its own."""

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
    """One child's place of work."""

    name: str
    """Host, parent, a word of the parent's, child, a word of the child's: no two workers ever share it."""
    settings: Settings
    database: Database
    blobs: Blobs
    notifier: Notifier
    stop: ShutdownRequest
    blas: ThreadpoolController

    @classmethod
    def set_up(cls, settings: Settings, prefix: str, stop: ShutdownRequest) -> "WorkerContext":
        """The desk of this process, whose name begins with its parent's `prefix`."""
        np.seterr(all="ignore")  # training itself looks for what is not finite, and says where
        keep_freed_memory()
        gc.freeze()  # what is loaded by now stays: to look through it again and again would cost a training 4 %
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
        """The BLAS libraries that numbers depend on: which, its kernel for this processor, and how many threads now."""
        return [
            {
                "library": library["internal_api"],
                "version": library["version"],
                "kernel": library.get("architecture"),
                "threads": library["num_threads"],
            }
            for library in self.blas.select(user_api="blas").info()
        ]


def pid_in(name: str, prefix: str) -> int:
    """The process id in the name of a child whose parent's prefix is `prefix`."""
    return int(name.removeprefix(prefix).partition(":")[0])
