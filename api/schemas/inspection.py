"""Inspections of a training step and gradient checks: the requests and the responses."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from api.schemas.values import finite_or_none
from core.json_pointer import pointer
from core.nn.insight import gradient_check, step_inspection

MAX_INSTANCES = 4096


class GradientCheckRequest(BaseModel):
    """A batch of instances and targets."""

    model_config = ConfigDict(extra="forbid")

    instances: list[Any] = Field(
        min_length=1, max_length=MAX_INSTANCES, description="Records in the form of the training data."
    )
    targets: list[Any] = Field(
        min_length=1, max_length=MAX_INSTANCES, description="The true values of the target: numbers or class names."
    )


class InspectionRequest(GradientCheckRequest):
    """A batch for the next training step."""

    arrays: bool = Field(default=False, description="Return the arrays themselves, in addition to their summaries.")


class ArraySummary(BaseModel):
    """Statistics of an array's finite entries."""

    norm: float = Field(description="Euclidean norm.")
    mean: float
    std: float
    min: float
    max: float
    zeros: float = Field(description="Fraction of entries that are exactly 0.")
    nonfinite: int = Field(description="Number of entries that are NaN or infinite.")


class WeightInspection(BaseModel):
    """One weight array, its gradient (with penalties) and its update."""

    weights: ArraySummary
    gradient: ArraySummary
    update_ratio: float | None = Field(
        description="Norm of the update divided by the norm of the weights; in a healthy training about 0.001. "
        "Null if the weights are 0."
    )


class LayerInspection(BaseModel):
    """One layer in the step."""

    pointer: str = Field(description="JSON pointer of the layer in the spec.")
    type: str
    output: ArraySummary
    gradient: ArraySummary | None = Field(description="Gradient of the loss by the layer's output; null without one.")
    dead: int = Field(description="Units (entries of the last axis) whose output is 0 for all rows.")
    nonfinite_rows: list[int] = Field(description="Rows of the batch whose output is not finite.")
    weights: dict[str, WeightInspection]
    arrays: dict[str, list[Any]] = Field(
        description="If requested: `output`, `gradient`, and `weights.<name>` and `gradients.<name>` for each weight "
        "array. Non-finite numbers are null."
    )


class NonFiniteLayer(BaseModel):
    """The first layer whose output is not finite."""

    pointer: str
    type: str
    rows: list[int]


class StepInspection(BaseModel):
    """A training step computed for inspection only; the job does not change."""

    step: int = Field(description="Step of the checkpoint that was inspected.")
    epoch: int
    loss: float | None = Field(description="Loss of the batch before the step, with penalties.")
    nonfinite: str | None = Field(default=None, description="`nan`, `inf` or `-inf` if `loss` is null.")
    first_nonfinite: NonFiniteLayer | None = Field(description="The first layer whose output is not finite.")
    layers: list[LayerInspection] = Field(description="In the order of the forward pass; a composite after its parts.")


class WeightGradientCheck(BaseModel):
    """The derivative of the loss along one random unit direction of a weight array."""

    backward: float | None = Field(description="By the backward pass; null if not finite.")
    differences: float | None = Field(
        description="By central finite differences with a distance of 1e-5; null if not finite."
    )
    error: float | None = Field(
        description="Difference of the two, relative to the larger one (or to 1e-8). 1e-6 or less is correct. A larger "
        "value can come from a function with a kink, such as relu, between the two points: repeat with other rows."
    )


class LayerGradientCheck(BaseModel):
    """One layer with trainable weights."""

    pointer: str = Field(description="JSON pointer of the layer in the spec.")
    type: str
    weights: dict[str, WeightGradientCheck]


class GradientCheck(BaseModel):
    """A comparison of the backward pass with finite differences, in float64; the job does not change."""

    step: int = Field(description="Step of the checkpoint whose weights were used.")
    epoch: int
    error: float | None = Field(description="The largest error of all weight arrays; null if one is null.")
    layers: list[LayerGradientCheck] = Field(description="The trainable layers, in the order of the network.")


def step_inspection_view(step: int, epoch: int, found: step_inspection.StepInspection) -> dict[str, Any]:
    """Return the fields of a `StepInspection`."""
    loss = finite_or_none(found.loss)
    return {
        "step": step,
        "epoch": epoch,
        "loss": loss,
        **({"nonfinite": str(found.loss)} if loss is None else {}),
        "first_nonfinite": found.first_nonfinite and _nonfinite_layer(found.first_nonfinite),
        "layers": [_layer(layer) for layer in found.layers],
    }


def _nonfinite_layer(layer: step_inspection.LayerInspection) -> dict[str, Any]:
    return {"pointer": pointer("architecture", *layer.path), "type": layer.type, "rows": layer.nonfinite_rows}


def _layer(layer: step_inspection.LayerInspection) -> dict[str, Any]:
    return {
        "pointer": pointer("architecture", *layer.path),
        "type": layer.type,
        "output": _summary(layer.output),
        "gradient": layer.gradient and _summary(layer.gradient),
        "dead": layer.dead,
        "nonfinite_rows": layer.nonfinite_rows,
        "weights": {name: _weight(weight) for name, weight in layer.weights.items()},
        "arrays": {name: array.tolist() for name, array in layer.arrays.items()},
    }


def _weight(weight: step_inspection.WeightInspection) -> dict[str, Any]:
    return {
        "weights": _summary(weight.weights),
        "gradient": _summary(weight.gradient),
        "update_ratio": weight.update_ratio,
    }


def _summary(summary: step_inspection.Summary) -> dict[str, Any]:
    return {
        "norm": summary.norm,
        "mean": summary.mean,
        "std": summary.std,
        "min": summary.min,
        "max": summary.max,
        "zeros": summary.zeros,
        "nonfinite": summary.nonfinite,
    }


def gradient_check_view(step: int, epoch: int, found: Sequence[gradient_check.LayerCheck]) -> dict[str, Any]:
    """Return the fields of a `GradientCheck`."""
    layers = [_layer_check(layer) for layer in found]
    errors = [weight["error"] for layer in layers for weight in layer["weights"].values()]
    return {
        "step": step,
        "epoch": epoch,
        "error": None if None in errors else max(errors),
        "layers": layers,
    }


def _layer_check(layer: gradient_check.LayerCheck) -> dict[str, Any]:
    weights = {
        name: {
            "backward": finite_or_none(check.backward),
            "differences": finite_or_none(check.differences),
            "error": finite_or_none(check.error),
        }
        for name, check in layer.weights.items()
    }
    return {"pointer": pointer("architecture", *layer.path), "type": layer.type, "weights": weights}
