"""The union of all layers that hold no other layers; `composite.py` adds those that do."""

from typing import TypeAlias

from core.nn.layers.activation import ActivationLayer
from core.nn.layers.attention import MultiHeadAttention
from core.nn.layers.augmentation import Augmentation
from core.nn.layers.convolution import Convolution
from core.nn.layers.dense import Dense
from core.nn.layers.depthwise import Depthwise
from core.nn.layers.dropout import Noise
from core.nn.layers.embedding import Embedding
from core.nn.layers.gating import Gating
from core.nn.layers.global_pooling import GlobalPooling
from core.nn.layers.masking import Masking
from core.nn.layers.normalization import Normalization
from core.nn.layers.pooling import Pooling
from core.nn.layers.positional import Positional
from core.nn.layers.recurrent import Recurrent
from core.nn.layers.reshaping import Reshaping
from core.nn.layers.resizing import Resizing
from core.nn.layers.transposed import Transposed

Leaf: TypeAlias = (
    Dense
    | ActivationLayer
    | Reshaping
    | Noise
    | Augmentation
    | Normalization
    | Embedding
    | Masking
    | Recurrent
    | Convolution
    | Transposed
    | Depthwise
    | Pooling
    | GlobalPooling
    | Resizing
    | Gating
    | Positional
    | MultiHeadAttention
)
