"""How wrong a network is, in one number, and in which direction it gets worse.

A loss owns its link, the function that turns a network's outputs (logits) into an answer: it is computed from the
logits, where it is stable, and nobody pairs a final activation with it. All losses are means over the batch,
or over the pairs in it.
A link gets the mask on the steps of sequences too, which matters to those that answer with a sequence as a whole.
`applies` names the link, `predicts` says what it is for, `misfit` which outputs and targets it can compare.
"""

from typing import Annotated, TypeAlias

from core.nn.losses.binary import OfBits
from core.nn.losses.categorical import OfAnyClass
from core.nn.losses.contrastive import OfAnyPair
from core.nn.losses.ctc import Ctc
from core.nn.losses.regression import OfNumber
from core.nn.tagged_union import Tagged

Loss: TypeAlias = Annotated[OfNumber | OfBits | OfAnyClass | Ctc | OfAnyPair, Tagged()]
