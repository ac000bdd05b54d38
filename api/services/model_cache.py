"""Models that are ready to predict, the least used of them dropped when they grow beyond a bound in bytes.

A checkpoint is known by its sha256, so what is kept here can never be stale.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from core.models.checkpoint import Which, decode
from core.models.model import Model

CACHE_BYTES = 256 * 2**20

Key = tuple[str, Which]


@dataclass
class _Entry:
    """A model, or the place of one that is being loaded."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    model: Model | None = None
    bytes: int = 0


class ModelCache:
    """Models by (sha256 of the checkpoint, which weights). Safe for threads; each is loaded once at a time."""

    def __init__(self, read: Callable[[str], bytes], bound: int = CACHE_BYTES) -> None:
        self._read = read
        self._bound = bound
        self._lock = threading.Lock()
        self._entries: OrderedDict[Key, _Entry] = OrderedDict()

    @property
    def bytes(self) -> int:
        """The bytes of the models that are loaded now."""
        return sum(entry.bytes for entry in list(self._entries.values()))

    def get(self, sha256: str, which: Which) -> Model:
        """The model of this checkpoint. Raises `NoSuchBlob`, `DamagedBlob` or `DamagedCheckpoint`."""
        key = (sha256, which)
        with self._lock:
            entry = self._entries.setdefault(key, _Entry())
            self._entries.move_to_end(key)
        if entry.model is not None:
            return entry.model
        with entry.lock:
            if entry.model is None:
                entry.model = self._load(key)
        return entry.model

    def _load(self, key: Key) -> Model:
        sha256, which = key
        try:
            model = Model.of(decode(self._read(sha256)), which)
        except BaseException:
            with self._lock:
                self._entries.pop(key, None)
            raise
        self._keep(key, model.nbytes)
        return model

    def _keep(self, newest: Key, size: int) -> None:
        with self._lock:
            if newest in self._entries:
                self._entries[newest].bytes = size
            total = sum(entry.bytes for entry in self._entries.values())
            for key in list(self._entries):
                if total <= self._bound or key == newest:
                    return
                total -= self._entries.pop(key).bytes
