"""A table of layers: at least one row for each member."""

from typing import NamedTuple

import numpy as np

from core.nn import activations, constraints, regularizers
from core.nn.arrays import Array, Shape
from core.nn.kernels import resampling
from core.nn.layers import (
    activation,
    attention,
    composite,
    convolution,
    dense,
    depthwise,
    dropout,
    embedding,
    gating,
    global_pooling,
    masking,
    normalization,
    pooling,
    positional,
    recurrent,
    reshaping,
    resizing,
    transposed,
)
from core.nn.layers.augmentation import crop, erasing, flip, geometric, spec_augment
from core.nn.layers.composite import Layer, Sequential
from core.nn.layers.merging import Merge


class LayerCase(NamedTuple):
    """A layer, the shapes of an input and an output row, and the number of classes if the inputs are class numbers."""

    layer: Layer
    input_shape: Shape
    output_shape: Shape
    classes: int = 0

    def inputs(self, rows: int, rng: np.random.Generator) -> Array:
        """Return random input rows."""
        shape = (rows, *self.input_shape)
        return rng.integers(0, self.classes, shape).astype(float) if self.classes else rng.standard_normal(shape)


def sequential(*layers: Layer) -> Sequential:
    """Return these layers in sequence."""
    return Sequential(layers=layers)


L2 = regularizers.L2(l2=0.03)
SHORT = constraints.MaxNorm(max_value=0.5)
ORTHOGONAL = regularizers.OrthogonalRegularizer()

SOFTPLUS = activation.ActivationLayer(activation=activations.Softplus())
MERGES: list[Merge] = ["add", "concatenate", "multiply", "average"]


def after_masking_embedding(layer: Layer) -> Sequential:
    """Return the layer after an embedding that masks zeros."""
    return Sequential(layers=(embedding.Embedding(input_dim=3, output_dim=3, mask_zero=True), layer))


AFTER_EMBEDDING: list[tuple[Layer, Shape]] = [
    (recurrent.SimpleRnn(units=3, return_sequences=True), (4, 3)),
    (recurrent.Lstm(units=2), (2,)),
    (recurrent.Lstm(units=2, return_sequences=True, go_backwards=True, recurrent_dropout=0.3), (4, 2)),
    (recurrent.Gru(units=2, return_sequences=True), (4, 2)),
    (recurrent.Gru(units=2, reset_after=False), (2,)),
    (composite.Bidirectional(layer=recurrent.Gru(units=2)), (4,)),
    (global_pooling.GlobalAveragePooling1D(), (3,)),
]

LAYERS: list[LayerCase] = [
    LayerCase(dense.Dense(units=3), (5,), (3,)),
    LayerCase(dense.Dense(units=3, use_bias=False, activation=activations.Tanh()), (5,), (3,)),
    LayerCase(dense.Dense(units=1), (1,), (1,)),
    LayerCase(dense.Dense(units=4, kernel_regularizer=L2, bias_regularizer=regularizers.L1(l1=0.02)), (2, 3), (2, 4)),
    LayerCase(dense.Dense(units=4, kernel_regularizer=ORTHOGONAL, bias_regularizer=ORTHOGONAL), (3,), (4,)),
    LayerCase(dense.Dense(units=2, kernel_regularizer=ORTHOGONAL), (3,), (2,)),
    LayerCase(activation.ActivationLayer(activation=activations.Softplus()), (2, 3), (2, 3)),
    LayerCase(reshaping.Flatten(), (2, 3, 4), (24,)),
    LayerCase(reshaping.Flatten(), (), (1,)),
    LayerCase(reshaping.Reshape(target_shape=(3, -1)), (2, 6), (3, 4)),
    LayerCase(dropout.Dropout(rate=0.4), (7,), (7,)),
    LayerCase(dropout.Dropout(rate=0.0), (7,), (7,)),
    LayerCase(normalization.BatchNormalization(), (4,), (4,)),
    LayerCase(normalization.BatchNormalization(center=False, scale=False), (2, 4), (2, 4)),
    LayerCase(normalization.BatchNormalization(trainable=False), (4,), (4,)),
    LayerCase(dense.Dense(units=4, kernel_regularizer=L2, trainable=False), (3,), (4,)),
    LayerCase(composite.Sequential(layers=(dense.Dense(units=2),), trainable=False), (3,), (2,)),
    LayerCase(convolution.Conv2D(filters=4, kernel_size=3), (5, 7, 2), (3, 5, 4)),
    LayerCase(convolution.Conv2D(filters=3, kernel_size=(1, 4), padding="same", strides=(1, 3)), (3, 7, 1), (3, 3, 3)),
    LayerCase(
        convolution.Conv2D(
            filters=4,
            kernel_size=(3, 2),
            strides=2,
            dilation_rate=(1, 2),
            groups=2,
            activation=activations.Tanh(),
            use_bias=False,
            kernel_regularizer=L2,
        ),
        (7, 6, 2),
        (3, 2, 4),
    ),
    LayerCase(convolution.Conv1D(filters=3, kernel_size=3, padding="causal", dilation_rate=2), (7, 2), (7, 3)),
    LayerCase(convolution.Conv1D(filters=2, kernel_size=2, strides=2, groups=2), (5, 4), (2, 2)),
    LayerCase(transposed.Conv2DTranspose(filters=3, kernel_size=3, strides=2), (3, 4, 2), (7, 9, 3)),
    LayerCase(
        transposed.Conv2DTranspose(
            filters=4, kernel_size=(2, 4), strides=(3, 2), padding="same", groups=2, kernel_regularizer=L2
        ),
        (2, 3, 2),
        (6, 6, 4),
    ),
    LayerCase(transposed.Conv1DTranspose(filters=3, kernel_size=2, strides=3), (4, 2), (12, 3)),
    LayerCase(
        transposed.Conv1DTranspose(filters=2, kernel_size=3, padding="same", dilation_rate=2, use_bias=False),
        (5, 3),
        (5, 2),
    ),
    LayerCase(depthwise.DepthwiseConv2D(kernel_size=3, activation=activations.Softplus()), (5, 4, 3), (3, 2, 3)),
    LayerCase(
        depthwise.DepthwiseConv2D(
            kernel_size=(2, 3), strides=2, padding="same", depth_multiplier=2, use_bias=False, depthwise_regularizer=L2
        ),
        (5, 4, 3),
        (3, 2, 6),
    ),
    LayerCase(depthwise.DepthwiseConv2D(kernel_size=2, dilation_rate=(2, 1)), (4, 4, 2), (2, 3, 2)),
    LayerCase(
        depthwise.SeparableConv2D(filters=4, kernel_size=3, padding="same", depth_multiplier=2), (4, 5, 2), (4, 5, 4)
    ),
    LayerCase(pooling.MaxPooling1D(), (5, 2), (2, 2)),
    LayerCase(pooling.MaxPooling1D(pool_size=3, strides=2, padding="same"), (7, 2), (4, 2)),
    LayerCase(pooling.MaxPooling2D(), (4, 7, 2), (2, 3, 2)),
    LayerCase(pooling.MaxPooling2D(pool_size=(3, 2), strides=(1, 2), padding="same"), (4, 5, 2), (4, 3, 2)),
    LayerCase(pooling.AveragePooling1D(pool_size=3, strides=1), (7, 2), (5, 2)),
    LayerCase(pooling.AveragePooling1D(pool_size=4, strides=3, padding="same"), (7, 2), (3, 2)),
    LayerCase(pooling.AveragePooling2D(), (4, 7, 2), (2, 3, 2)),
    LayerCase(pooling.AveragePooling2D(pool_size=(3, 2), strides=(1, 2), padding="same"), (4, 5, 2), (4, 3, 2)),
    LayerCase(global_pooling.GlobalMaxPooling1D(), (5, 2), (2,)),
    LayerCase(global_pooling.GlobalMaxPooling2D(), (5, 3, 2), (2,)),
    LayerCase(global_pooling.GlobalAveragePooling1D(), (5, 2), (2,)),
    LayerCase(global_pooling.GlobalAveragePooling2D(), (5, 3, 2), (2,)),
    LayerCase(resizing.ZeroPadding1D(), (3, 2), (5, 2)),
    LayerCase(resizing.ZeroPadding1D(padding=(0, 2)), (3, 2), (5, 2)),
    LayerCase(resizing.ZeroPadding2D(padding=(1, 2)), (3, 2, 1), (5, 6, 1)),
    LayerCase(resizing.ZeroPadding2D(padding=((0, 1), (2, 0))), (3, 2, 1), (4, 4, 1)),
    LayerCase(resizing.Cropping1D(cropping=(0, 2)), (5, 2), (3, 2)),
    LayerCase(resizing.Cropping2D(cropping=((0, 1), (2, 0))), (3, 4, 2), (2, 2, 2)),
    LayerCase(resizing.UpSampling1D(size=3), (3, 2), (9, 2)),
    LayerCase(resizing.UpSampling2D(size=(2, 1)), (3, 2, 2), (6, 2, 2)),
    LayerCase(normalization.LayerNormalization(), (2, 5), (2, 5)),
    LayerCase(normalization.LayerNormalization(center=False, scale=False), (5,), (5,)),
    LayerCase(normalization.RMSNormalization(), (3, 5), (3, 5)),
    LayerCase(normalization.GroupNormalization(groups=2), (3, 2, 4), (3, 2, 4)),
    LayerCase(normalization.GroupNormalization(groups=1, scale=False), (6,), (6,)),
    LayerCase(dropout.SpatialDropout(rate=0.4), (3, 2, 4), (3, 2, 4)),
    LayerCase(dropout.GaussianNoise(stddev=0.3), (2, 4), (2, 4)),
    *[LayerCase(flip.RandomFlip(mode=mode), (3, 2, 2), (3, 2, 2)) for mode in flip.FLIPPED_AXES],
    *[
        LayerCase(
            geometric.RandomTranslation(height_factor=0.7, width_factor=(-0.2, 0.9), fill_mode=mode, fill_value=0.3),
            (4, 3, 2),
            (4, 3, 2),
        )
        for mode in resampling.FILL_MODES
    ],
    LayerCase(geometric.RandomZoom(height_factor=0.6), (4, 3, 2), (4, 3, 2)),
    LayerCase(
        geometric.RandomZoom(height_factor=(0.2, 0.9), width_factor=0.5, fill_mode="constant", fill_value=-0.2),
        (3, 5, 1),
        (3, 5, 1),
    ),
    LayerCase(geometric.RandomRotation(factor=0.5), (4, 3, 2), (4, 3, 2)),
    LayerCase(geometric.RandomRotation(factor=(-0.1, 0.2), fill_mode="constant"), (3, 5, 1), (3, 5, 1)),
    LayerCase(erasing.RandomErasing(scale=(0.3, 0.9)), (4, 3, 2), (4, 3, 2)),
    LayerCase(erasing.RandomErasing(factor=0.5, ratio=(1, 2), fill_value=0.7), (3, 5, 1), (3, 5, 1)),
    LayerCase(crop.RandomCrop(height=2, width=3), (4, 3, 2), (2, 3, 2)),
    LayerCase(crop.RandomCrop(height=3, width=2), (3, 5, 4), (3, 2, 4)),
    LayerCase(spec_augment.TimeMask(max_width=3), (5, 4), (5, 4)),
    LayerCase(spec_augment.FrequencyMask(max_width=4), (3, 4, 2), (3, 4, 2)),
    LayerCase(reshaping.Permute(dims=(3, 1, 2)), (2, 3, 4), (4, 2, 3)),
    LayerCase(reshaping.RepeatVector(n=3), (4,), (3, 4)),
    LayerCase(reshaping.Rescaling(scale=1 / 255, offset=-0.5), (2, 3), (2, 3)),
    LayerCase(gating.Glu(), (3, 4), (3, 2)),
    LayerCase(gating.SwiGlu(), (6,), (3,)),
    LayerCase(positional.PositionalEncoding(), (4, 5), (4, 5)),
    LayerCase(positional.PositionEmbedding(sequence_length=5, regularizer=L2), (3, 2), (3, 2)),
    LayerCase(attention.MultiHeadAttention(num_heads=2, key_dim=3), (5, 4), (5, 4)),
    LayerCase(attention.MultiHeadAttention(num_heads=1, key_dim=1, use_bias=False), (1, 1), (1, 1)),
    LayerCase(
        attention.MultiHeadAttention(num_heads=2, key_dim=3, value_dim=2, causal=True, dropout=0.3, use_bias=False),
        (4, 3),
        (4, 3),
    ),
    LayerCase(
        attention.MultiHeadAttention(
            num_heads=4, num_kv_heads=2, key_dim=4, rotary=True, kernel_regularizer=L2, bias_regularizer=L2
        ),
        (3, 5),
        (3, 5),
    ),
    LayerCase(embedding.Embedding(input_dim=5, output_dim=3, embeddings_regularizer=L2), (4,), (4, 3), classes=5),
    LayerCase(embedding.Embedding(input_dim=5, output_dim=3, mask_zero=True), (4,), (4, 3), classes=5),
    LayerCase(masking.Masking(mask_value=-1), (4, 3), (4, 3)),
    LayerCase(recurrent.SimpleRnn(units=3), (5, 2), (3,)),
    LayerCase(recurrent.SimpleRnn(units=1, use_bias=False, return_sequences=True), (1, 1), (1, 1)),
    LayerCase(
        recurrent.SimpleRnn(
            units=3,
            activation=activations.Softplus(),
            dropout=0.3,
            recurrent_dropout=0.3,
            go_backwards=True,
            recurrent_regularizer=L2,
        ),
        (4, 2),
        (3,),
    ),
    LayerCase(recurrent.Lstm(units=3), (5, 2), (3,)),
    LayerCase(recurrent.Lstm(units=5, return_sequences=True, use_bias=False), (7, 1), (7, 5)),
    LayerCase(
        recurrent.Lstm(
            units=3,
            activation=activations.Softsign(),
            recurrent_activation=activations.HardSigmoid(),
            dropout=0.3,
            recurrent_dropout=0.3,
            return_sequences=True,
            go_backwards=True,
            unit_forget_bias=False,
            kernel_regularizer=L2,
        ),
        (4, 2),
        (4, 3),
    ),
    LayerCase(recurrent.Gru(units=3), (5, 2), (3,)),
    LayerCase(recurrent.Gru(units=5, return_sequences=True, use_bias=False), (7, 1), (7, 5)),
    LayerCase(
        recurrent.Gru(
            units=3, dropout=0.3, recurrent_dropout=0.3, return_sequences=True, go_backwards=True, bias_regularizer=L2
        ),
        (4, 2),
        (4, 3),
    ),
    LayerCase(recurrent.Gru(units=3, reset_after=False), (5, 2), (3,)),
    LayerCase(
        recurrent.Gru(units=3, reset_after=False, recurrent_dropout=0.3, return_sequences=True, use_bias=False),
        (4, 2),
        (4, 3),
    ),
    *(LayerCase(after_masking_embedding(layer), (4,), output, classes=3) for layer, output in AFTER_EMBEDDING),
    *(
        LayerCase(
            composite.Bidirectional(layer=recurrent.Lstm(units=2, return_sequences=True), merge_mode=merge),
            (5, 3),
            (5, 4) if merge == "concatenate" else (5, 2),
        )
        for merge in MERGES
    ),
    LayerCase(composite.Bidirectional(layer=recurrent.SimpleRnn(units=2), merge_mode="add"), (5, 3), (2,)),
    LayerCase(composite.Residual(layer=dense.Dense(units=3)), (2, 3), (2, 3)),
    LayerCase(
        composite.Residual(layer=dense.Dense(units=2), projection=dense.Dense(units=2, use_bias=False)), (3,), (2,)
    ),
    *(
        LayerCase(
            composite.Parallel(
                branches=(dense.Dense(units=3), SOFTPLUS, dense.Dense(units=3, activation=activations.Tanh())),
                merge=merge,
            ),
            (3,),
            (9,) if merge == "concatenate" else (3,),
        )
        for merge in MERGES
    ),
    LayerCase(composite.Parallel(branches=(SOFTPLUS, dense.Dense(units=3)), merge="gate"), (2, 3), (2, 3)),
    LayerCase(composite.Parallel(branches=(dense.Dense(units=3), SOFTPLUS, SOFTPLUS), merge="gate"), (3,), (3,)),
    LayerCase(
        composite.Mixture(branches=(dense.Dense(units=2), dense.Dense(units=2)), gate=dense.Dense(units=2)), (3,), (2,)
    ),
    LayerCase(
        composite.Mixture(
            branches=(SOFTPLUS, dense.Dense(units=3), SOFTPLUS),
            gate=Sequential(layers=(reshaping.Flatten(), dense.Dense(units=3))),
        ),
        (2, 3),
        (2, 3),
    ),
    LayerCase(composite.Repeat(layer=dense.Dense(units=3, activation=activations.Tanh()), n=3), (2,), (3,)),
    LayerCase(
        composite.Repeat(layer=dense.Dense(units=3, activation=activations.Tanh()), n=3, shared=True), (3,), (3,)
    ),
    LayerCase(composite.TimeDistributed(layer=dense.Dense(units=2)), (4, 3), (4, 2)),
    LayerCase(
        composite.Sequential(layers=(dense.Dense(units=4, activation=activations.Tanh()), dense.Dense(units=2))),
        (3,),
        (2,),
    ),
]
