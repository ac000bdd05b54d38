"""Predictions: small ones in a thread of the API, all others in a process of the compute pool.

A prediction takes no longer in a process, but sending it there takes longer than a small network.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from api.http.errors import InvalidBody, TooMuchWork, UnsupportedMediaType
from api.http.parsing import parse
from api.http.spool import Body
from api.schemas.prediction import PredictionRequest
from api.services.model_cache import ModelCache
from api.services.prediction_forms import WRITERS
from core.blobs.storage import open_blobs
from core.data.instances import instance_from_file, instance_from_text, instances_from_csv, instances_from_npy
from core.models.checkpoint import Which
from core.models.model import Model
from core.settings import Settings

SMALL_BODY_BYTES = 2**14
SMALL_CHECKPOINT_BYTES = 2**22
SMALL_FLOPS = 10**7
"""Bounds of a small prediction: about a millisecond each for reading the body and for computing the outputs."""
SMALL_ANSWER_BYTES = 2**18
PROCESS_CACHE_BYTES = 128 * 2**20

Records = list[Any] | NDArray[Any]


def _instances_from_json(body: bytes, _columns: Sequence[str]) -> Records:
    return parse(PredictionRequest, body).instances


def _instances_from_npy(body: bytes, _columns: Sequence[str]) -> Records:
    return instances_from_npy(body)


def _instance_from_text(body: bytes, _columns: Sequence[str]) -> Records:
    return instance_from_text(body)


def _instance_from_file(body: bytes, _columns: Sequence[str]) -> Records:
    return instance_from_file(body)


PICTURE_TYPES = ("image/png", "image/jpeg", "image/webp", "image/gif", "image/bmp", "image/tiff")
RECORDING_TYPES = (
    "audio/wav", "audio/x-wav", "audio/wave", "audio/vnd.wave", "audio/flac", "audio/x-flac", "audio/ogg",
    "audio/mpeg", "audio/mp3",
)  # fmt: skip
FILE_TYPES = (*PICTURE_TYPES, *RECORDING_TYPES)
"""Media types of a body that is one file."""

PARSERS: Mapping[str, Callable[[bytes, Sequence[str]], Records]] = {
    "application/json": _instances_from_json,
    "text/csv": instances_from_csv,
    "application/x-npy": _instances_from_npy,
    "text/plain": _instance_from_text,
    **dict.fromkeys(FILE_TYPES, _instance_from_file),
}
"""Parsers by the media type of the body; each gets the model's columns."""


class PredictionBody(NamedTuple):
    """The instances of a request, not parsed yet."""

    media_type: str
    content: Body
    answer_type: str = "application/json"
    """The media type of the answer."""

    def instances(self, columns: Sequence[str]) -> Records:
        """Return the parsed instances for a model with these columns. Raise `InvalidBody` or `InvalidFile`."""
        instances = PARSERS[self.media_type](self.content.read(), columns)
        if isinstance(instances, np.ndarray) and not instances.shape:
            raise InvalidBody([("", "is a single number: send an array of rows")])
        if not len(instances):
            raise InvalidBody([("", "has no rows: send at least one")])
        return instances


class Weights(NamedTuple):
    """The weights to predict with, and what the answer says about them."""

    job_id: str
    sha256: str
    bytes: int
    which: Which
    checkpoint: dict[str, Any]

    def checkpoint_of(self, model: Model) -> dict[str, Any]:
        """Return what the answer says of the weights: of the best ones, the step and epoch in which they were best."""
        return {**self.checkpoint, "weights": self.which, "step": model.step, "epoch": model.epoch}


def require_parser(media_type: str) -> None:
    """Raise `UnsupportedMediaType` for a body that cannot be parsed."""
    if media_type not in PARSERS:
        raise UnsupportedMediaType(media_type, list(PARSERS))


def predict_if_small(models: ModelCache, weights: Weights, body: PredictionBody) -> bytes | None:
    """Return the answer if parsing, computing and writing it takes little time; else None. Raise as `predict`."""
    if body.content.size > SMALL_BODY_BYTES or weights.bytes > SMALL_CHECKPOINT_BYTES:
        return None
    model = models.get(weights.sha256, weights.which)
    instances = body.instances(model.features.columns)
    rows = len(instances)
    if model.features.reads_files:  # a picture of few bytes can have millions of pixels
        return None
    if model.flops(rows) > SMALL_FLOPS or model.answer_bytes(rows) > SMALL_ANSWER_BYTES:
        return None
    return b"".join(WRITERS[body.answer_type]([model.predict(instances)], weights.checkpoint_of(model)))


def predict(settings: Settings, weights: Weights, body: PredictionBody) -> Iterator[bytes]:
    """Yield the answer block by block, in the media type that the client accepts.

    Raises
    ------
    InvalidBody, InvalidFile, InvalidInstance
        Where the instances are wrong.
    TooMuchWork
        Where the answer would be too large; nothing is computed then.
    NoSuchBlob, DamagedBlob, DamagedCheckpoint
        Where the checkpoint cannot be read.
    """
    model = _models(settings).get(weights.sha256, weights.which)
    instances = body.instances(model.features.columns)
    if model.answer_bytes(len(instances)) > settings.max_answer_bytes:
        raise TooMuchWork.answer(settings.max_answer_bytes)
    yield from WRITERS[body.answer_type](model.predict_in_blocks(instances), weights.checkpoint_of(model))


@lru_cache(maxsize=1)
def _models(settings: Settings) -> ModelCache:
    """Return the models of this process."""
    return ModelCache(open_blobs(settings).read, PROCESS_CACHE_BYTES)
