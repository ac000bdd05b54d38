"""Losses: the mean error of a batch, and its gradient with respect to the network's outputs.

A loss owns its link, the function that maps a network's outputs (logits) to predictions. The loss is computed from the
logits, where it is numerically stable, so a network ends without an activation. Every loss is a mean over the rows of a
batch, or over its pairs of rows.

A link also gets the mask of sequences, which the link of `ctc` needs. `link_type` names the link, `predicts` says what
the loss is for, and `mismatch` says why it cannot compare given outputs and targets.
"""

from typing import Annotated, TypeAlias

from core.nn.losses.binary import BinaryLosses
from core.nn.losses.categorical import CategoricalLosses
from core.nn.losses.contrastive import PairwiseLosses
from core.nn.losses.ctc import Ctc
from core.nn.losses.regression import RegressionLosses
from core.nn.tagged_union import Tagged

Loss: TypeAlias = Annotated[RegressionLosses | BinaryLosses | CategoricalLosses | Ctc | PairwiseLosses, Tagged("Loss")]
