"""Specs as clients posted them: a small one is in its row, a large one is a blob with an outline in the row."""

from dataclasses import dataclass

from core.blobs.blobs import Blobs
from core.jobs.outline import MAX_TEXT_BYTES, row_text
from core.store.tables import Spec


@dataclass(frozen=True, eq=False)
class PostedSpec:
    """The text of a spec that is about to be stored."""

    text: bytes
    """As posted, UTF-8."""
    row: str
    """What the row has of it: the text, or its outline."""

    @property
    def is_large(self) -> bool:
        """Whether the text is stored as a blob."""
        return len(self.text) > MAX_TEXT_BYTES

    @classmethod
    def of(cls, text: bytes) -> "PostedSpec":
        """Return the spec with this text, a valid JSON object. It depends on the text only, and stores nothing."""
        return cls(text, row_text(text))


def put(blobs: Blobs, spec: PostedSpec) -> str | None:
    """Store the text of a large spec durably, just before the transaction that inserts its row; return its sha256.

    For a small spec return None: its row has the text.
    """
    return blobs.put(spec.text) if spec.is_large else None


def read_text(blobs: Blobs, spec: Spec) -> str:
    """Return the text as posted, verified.

    Raises
    ------
    NoSuchBlob, DamagedBlob
        If the blob of a large spec is gone or damaged.
    """
    return spec.json if spec.sha256 is None else blobs.read(spec.sha256).decode()
