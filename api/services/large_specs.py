"""Checks of large specs, as the processes of the compute pool run them, so that others do not wait meanwhile.

Only what a job's row needs returns: neither rows of data nor layers. This module imports no more of the API than it
needs, since a new process has to load it before its first task.
"""

from dataclasses import replace
from typing import Any, NamedTuple

from api.http.parsing import parse, without_mark
from api.http.spool import Body
from core.data.prepare import Signature, signature
from core.data.schema import Schema
from core.data.sources.inline import Inline
from core.jobs.auto import AutoSpec, asks_for_auto, completed
from core.jobs.estimate import Estimate, Limits, estimate_cost
from core.jobs.outline import row_text
from core.jobs.resolve import resolve
from core.jobs.spec import JobSpec
from core.jobs.warm_start import LayerWeights, weights_by_layer
from core.nn.layers.composite import Sequential
from core.nn.layers.reshaping import Flatten

NO_LAYERS = Sequential(layers=(Flatten(),))


class CheckedSpec(NamedTuple):
    """A valid spec, if it was large without its rows and layers, and its cost."""

    spec: JobSpec
    estimate: Estimate
    row: str
    """The text that a row stores of it: all of it, or an outline."""
    text: bytes | None = None
    """The text of a spec that was completed; None where it is stored as posted."""


class CheckedLargeSpec(NamedTuple):
    """A spec that a process has checked, with the weights of its network if it starts from those of another job."""

    spec: CheckedSpec
    weights: list[LayerWeights]


def check_large_spec(body: Body, limits: Limits, threads: int, schema: Schema | None) -> CheckedLargeSpec | str:
    """Return the checked spec, or the id of the dataset whose schema is needed.

    Raises
    ------
    InvalidBody, InvalidData, InvalidSpec
        With the first errors in the spec.
    """
    text = without_mark(body.read())
    spec = parse_spec(text)
    if spec.data.dataset_id is not None and schema is None:
        return spec.data.dataset_id
    made, spec, data_signature = with_architecture(text, spec, schema)
    estimate = estimate_cost(spec, data_signature, limits, threads)
    weights = list(weights_by_layer(resolve(spec, data_signature).network)) if spec.start_from else []
    return CheckedLargeSpec(CheckedSpec(_without_bulk(spec), estimate, row_text(made or text), made), weights)


def parse_spec(text: bytes) -> JobSpec:
    """Return the spec in a body. Raise `InvalidBody`."""
    return parse(AutoSpec if asks_for_auto(text) else JobSpec, text, code="invalid_spec")


def with_architecture(text: bytes, spec: JobSpec, schema: Schema | None) -> tuple[bytes | None, JobSpec, Signature]:
    """Return text, spec and data signature of a spec that has an architecture; the text is None where it is as posted.

    Raise `InvalidData`.
    """
    found = signature(spec.data, schema)
    if not isinstance(spec, AutoSpec):
        return None, spec, found
    made = completed(text, found)
    spec = parse_spec(made)
    return made, spec, signature(spec.data, schema)


def _without_bulk(spec: JobSpec) -> JobSpec:
    data: Any = spec.data
    if isinstance(data, Inline):
        data = replace(data, x=[0], y=[0], sample_weight=None)
    return spec.model_copy(update={"data": data, "architecture": NO_LAYERS})
