"""A cache of models that are ready to predict, bounded in bytes; the least recently used models are evicted.

A checkpoint is identified by its SHA-256, so a cached model is never stale.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from core.blobs.errors import DamagedBlob, NoSuchBlob
from core.models.checkpoint import DamagedCheckpoint, Which, decode
from core.models.model import Model

MAX_CACHE_BYTES = 256 * 2**20
UNREADABLE_CHECKPOINT = (NoSuchBlob, DamagedBlob, DamagedCheckpoint)
"""The errors of a checkpoint that was pruned or damaged."""

Key = tuple[str, Which]


@dataclass
class _CachedModel:
    """A model, or the placeholder of one that is being loaded."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    model: Model | None = None
    bytes: int = 0


class ModelCache:
    """Models by (SHA-256 of the checkpoint, which weights). Thread-safe; concurrent requests load a model once."""

    def __init__(self, read: Callable[[str], bytes], max_bytes: int = MAX_CACHE_BYTES) -> None:
        self._read = read
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._cached: OrderedDict[Key, _CachedModel] = OrderedDict()

    @property
    def bytes(self) -> int:
        """The size of all loaded models."""
        return sum(cached.bytes for cached in list(self._cached.values()))

    def get(self, sha256: str, which: Which) -> Model:
        """Return the model of this checkpoint. Raise `NoSuchBlob`, `DamagedBlob` or `DamagedCheckpoint`."""
        key = (sha256, which)
        with self._lock:
            cached = self._cached.setdefault(key, _CachedModel())
            self._cached.move_to_end(key)
        if cached.model is not None:
            return cached.model
        with cached.lock:
            if cached.model is None:
                cached.model = self._load(key)
        return cached.model

    def _load(self, key: Key) -> Model:
        sha256, which = key
        try:
            model = Model.of(decode(self._read(sha256)), which)
        except BaseException:
            with self._lock:
                self._cached.pop(key, None)
            raise
        self._evict(key, model.nbytes)
        return model

    def _evict(self, newest: Key, size: int) -> None:
        """Record the size of the newest model, and evict others until the bound holds."""
        with self._lock:
            if newest in self._cached:
                self._cached[newest].bytes = size
            total = sum(cached.bytes for cached in self._cached.values())
            for key in list(self._cached):
                if total <= self._max_bytes or key == newest:
                    return
                total -= self._cached.pop(key).bytes
