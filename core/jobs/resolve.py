"""Resolution of a spec: from spec and data signature to network, loss, metrics and training.

It computes with shapes only and allocates no arrays.
"""

from dataclasses import dataclass, replace

from core.data.prepare import Prepared, Signature
from core.data.targets.classes import Classes
from core.data.targets.numbers import Numbers
from core.jobs.errors import InvalidSpec
from core.jobs.rules import Candidate, errors_of
from core.jobs.spec import JobSpec
from core.json_pointer import pointer
from core.nn.arrays import Shape
from core.nn.layers.composite import Sequential
from core.nn.losses import Loss
from core.nn.losses.base import Mismatch, Targets
from core.nn.losses.binary import BinaryCrossEntropy
from core.nn.losses.categorical import CrossEntropy
from core.nn.losses.regression import MeanSquaredError
from core.nn.metrics import DEFAULT_METRICS
from core.nn.network import Network
from core.nn.plan import ShapeMismatch
from core.nn.training.options import Training


@dataclass(frozen=True, slots=True)
class Resolved:
    """A spec with its defaults filled in for its data."""

    network: Network
    loss: Loss
    training: Training
    classes: int | None
    """The number of classes, where the target's whole numbers are class numbers."""

    def fit(self, prepared: Prepared) -> Prepared:
        """Return the data in the form that the loss needs."""
        if self.loss.predicts == "labels":
            return prepared.with_labels()
        if self.loss.predicts == "embeddings":
            return prepared.with_embeddings(*self.network.output_shape)
        return prepared if self.classes is None else prepared.with_classes(self.classes)


def resolve(spec: JobSpec, signature: Signature) -> Resolved:
    """Plan the network for the data, and choose the loss and metrics that the spec leaves open.

    Raises
    ------
    InvalidSpec
        Where layers, data, loss, metrics and training do not fit together.
    """
    network = _network(spec, signature)
    loss = spec.loss or _default_loss(signature.target, network.output_shape)
    targets = targets_of(signature)
    _require_any_unit(signature, loss)
    _require_comparable(spec.architecture, network, loss, targets)
    metrics = DEFAULT_METRICS[loss.predicts] if spec.training.metrics is None else spec.training.metrics
    training = replace(spec.training, metrics=metrics)
    if errors := errors_of(Candidate(spec, signature, network, loss, training)):
        raise InvalidSpec(errors)
    return Resolved(network, loss, training, _class_count(network, loss, targets))


def targets_of(signature: Signature) -> Targets:
    """Return what is known of the targets, for the loss."""
    target = signature.target
    if isinstance(target, Classes):
        return Targets(classes=len(target.names))
    return Targets(shape=target.shape, integers=target.integers, padded=target.padded, min=target.min, max=target.max)


def _network(spec: JobSpec, signature: Signature) -> Network:
    try:
        return Network(spec.architecture, signature.input_shape)
    except ShapeMismatch as error:
        raise InvalidSpec([(pointer("architecture", *error.path), error.message)], "shape_mismatch") from None


def _default_loss(target: Numbers | Classes, output_shape: Shape) -> Loss:
    if isinstance(target, Numbers):
        return MeanSquaredError()
    return BinaryCrossEntropy() if len(target.names) == 2 and output_shape == (1,) else CrossEntropy()


def _require_any_unit(signature: Signature, loss: Loss) -> None:
    """Refuse standardized targets of a loss that compares numbers of one unit or sign, such as counts."""
    if signature.standardized and not loss.any_unit:
        message = f"{loss.type} compares numbers as they are: use the encoder none, or another loss"
        raise InvalidSpec([("/data/target/encoder", message)])


def _require_comparable(architecture: Sequential, network: Network, loss: Loss, targets: Targets) -> None:
    if targets.padded and loss.predicts != "labels":
        message = f"has rows of different lengths, which {loss.type} cannot compare: use the loss ctc"
        raise InvalidSpec([("/data/y", message)])
    if mismatch := loss.mismatch(targets, network.output_shape):
        raise _mismatch_error(architecture, mismatch)


def _mismatch_error(architecture: Sequential, mismatch: Mismatch) -> InvalidSpec:
    if not mismatch.output:
        return InvalidSpec([("/loss", mismatch.message)])
    last = len(architecture.layers) - 1
    message = f"layer {last + 1} ({architecture.layers[last].type}), the last, {mismatch.message}"
    return InvalidSpec([(f"/architecture/layers/{last}", message)], "shape_mismatch")


def _class_count(network: Network, loss: Loss, targets: Targets) -> int | None:
    one_per_step = targets.shape == (network.output_shape[:-1] or (1,))
    if targets.classes is None and targets.integers and one_per_step:
        return loss.classes(network.output_shape)
    return None
