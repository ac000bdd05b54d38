"""One row for each member of each kind: what the tests of all members run through.

A meta-test fails until a new member has its row.
"""

from typing import Any, NamedTuple

import numpy as np

from core.nn import activations, constraints, initializers, regularizers, schedules
from core.nn.activations import Activation
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
from core.nn.losses import Loss, binary, categorical, contrastive, ctc, regression
from core.nn.metrics import Metric, classification, probabilistic, ranking
from core.nn.metrics import regression as number_metrics
from core.nn.metrics import sequences as sequence_metrics
from core.nn.optimizers import adam, adaptive, lbfgs, matrix, sgd, wrappers
from core.nn.optimizers.wrappers import Optimizer
from core.nn.schedules import Schedule


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


class LossCase(NamedTuple):
    """A loss, the shape of a row of outputs, and what its targets are, a word of `test_gradients.some_targets`."""

    loss: Loss
    output_shape: Shape
    targets: str


class ScheduleCase(NamedTuple):
    """A schedule and its rate at some steps of 100."""

    schedule: Schedule
    rates: dict[int, float]


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

ACTIVATIONS: list[Activation] = [
    activations.Linear(),
    activations.Relu(),
    activations.Relu(negative_slope=0.1, max_value=0.5),
    activations.Relu(max_value=6),
    activations.LeakyRelu(),
    activations.Elu(),
    activations.Elu(alpha=0.3),
    activations.Selu(),
    activations.Tanh(),
    activations.Sigmoid(),
    activations.HardTanh(),
    activations.HardSigmoid(),
    activations.Softsign(),
    activations.Exponential(),
    activations.Softplus(),
    activations.Gelu(),
    activations.Gelu(approximate=True),
    activations.Silu(),
    activations.Mish(),
    activations.Softmax(),
    activations.LogSoftmax(),
]

LOSSES: list[LossCase] = [
    LossCase(regression.MeanSquaredError(), (3,), "numbers"),
    LossCase(regression.MeanSquaredError(), (2, 3), "numbers"),
    LossCase(regression.MeanAbsoluteError(), (2, 3), "numbers"),
    LossCase(regression.MeanAbsolutePercentageError(), (3,), "numbers"),
    LossCase(regression.MeanSquaredLogarithmicError(), (3,), "counts"),
    LossCase(regression.Huber(delta=0.7), (3,), "numbers"),
    LossCase(regression.LogCosh(), (2, 3), "numbers"),
    LossCase(regression.Quantile(quantile=0.8), (3,), "numbers"),
    LossCase(regression.Poisson(), (3,), "counts"),
    LossCase(regression.GaussianNegativeLogLikelihood(), (4,), "halves"),
    LossCase(regression.CosineSimilarity(), (2, 3), "numbers"),
    LossCase(binary.BinaryCrossEntropy(), (1,), "bits"),
    LossCase(binary.BinaryCrossEntropy(), (4,), "bits"),
    LossCase(binary.BinaryCrossEntropy(label_smoothing=0.2), (1,), "bits"),
    LossCase(binary.BinaryFocalCrossEntropy(), (1,), "bits"),
    LossCase(binary.BinaryFocalCrossEntropy(gamma=0.5, apply_class_balancing=True), (4,), "bits"),
    LossCase(binary.Hinge(), (1,), "bits"),
    LossCase(binary.SquaredHinge(), (4,), "bits"),
    LossCase(binary.Dice(), (2, 4), "bits"),
    LossCase(categorical.CrossEntropy(), (5,), "classes"),
    LossCase(categorical.CrossEntropy(), (5,), "shares"),
    LossCase(categorical.CrossEntropy(), (3, 5), "classes"),
    LossCase(categorical.CrossEntropy(label_smoothing=0.1), (2, 3, 5), "shares"),
    LossCase(categorical.CrossEntropy(label_smoothing=0.1, class_weight=(1, 2, 3, 4, 5)), (5,), "classes"),
    LossCase(categorical.FocalCrossEntropy(), (5,), "classes"),
    LossCase(categorical.FocalCrossEntropy(gamma=0.5, alpha=1), (3, 5), "shares"),
    LossCase(categorical.KlDivergence(), (5,), "shares"),
    LossCase(categorical.KlDivergence(), (2, 5), "shares"),
    LossCase(categorical.KlDivergence(), (5,), "classes"),
    LossCase(categorical.CategoricalHinge(), (5,), "classes"),
    LossCase(categorical.CategoricalHinge(), (3, 5), "classes"),
    LossCase(ctc.Ctc(), (6, 4), "labels"),
    LossCase(ctc.Ctc(zero_infinity=True), (5, 3), "labels"),
    LossCase(contrastive.Contrastive(), (3,), "classes"),
    LossCase(contrastive.Contrastive(margin=3.0), (5,), "classes"),
    LossCase(contrastive.Triplet(), (3,), "classes"),
    LossCase(contrastive.Triplet(margin=4.0), (5,), "classes"),
]

PLAIN = sgd.GradientDescent()

OPTIMIZERS: list[Optimizer] = [
    sgd.GradientDescent(),
    sgd.StochasticGradientDescent(),
    sgd.StochasticGradientDescent(momentum=0.9),
    sgd.StochasticGradientDescent(momentum=0.9, nesterov=True),
    sgd.StochasticGradientDescent(momentum=0.9, dampening=0.5),
    sgd.Lion(),
    sgd.Rprop(),
    adaptive.Adagrad(learning_rate=schedules.ConstantRate(learning_rate=0.05)),
    adaptive.Adadelta(learning_rate=schedules.ConstantRate(learning_rate=1)),
    adaptive.RmsProp(),
    adaptive.RmsProp(centered=True, momentum=0.9),
    adam.Adam(),
    adam.AdamW(),
    adam.AmsGrad(),
    adam.Adamax(),
    adam.Nadam(),
    adam.RAdam(),
    adam.Lamb(weight_decay=0.01),
    matrix.Muon(),
    matrix.Adafactor(),
    wrappers.ClipByNorm(max_norm=0.1, optimizer=PLAIN),
    wrappers.ClipByWeightNorm(max_norm=0.1, optimizer=PLAIN),
    wrappers.ClipByValue(clip_value=0.01, optimizer=PLAIN),
    lbfgs.Lbfgs(history_size=4),
    wrappers.SharpnessAware(rho=0.2, optimizer=adam.Adam()),
    wrappers.GradientNoise(eta=0.1, optimizer=PLAIN),
    wrappers.WeightDecay(weight_decay=0.1, optimizer=PLAIN),
    wrappers.WeightDecay(weight_decay=0.1, weights=("*/kernel",), optimizer=adam.Adam()),
    wrappers.LearningRateMultipliers(multipliers={"*/bias": 0.5, "layers/0/*": 2.0}, optimizer=adam.Adam()),
    wrappers.GradientAccumulation(steps=3, optimizer=adam.Adam()),
    wrappers.ExponentialMovingAverage(momentum=0.8, overwrite_frequency=4, optimizer=adam.Adam()),
    wrappers.Lookahead(
        sync_period=4,
        optimizer=wrappers.Lookahead(sync_period=3, optimizer=sgd.StochasticGradientDescent(momentum=0.9)),
    ),
]

SCHEDULES: list[ScheduleCase] = [
    ScheduleCase(schedules.ConstantRate(learning_rate=0.5), {0: 0.5, 99: 0.5}),
    ScheduleCase(
        schedules.StepDecay(initial_learning_rate=1, decay_steps=10, decay_rate=0.5), {0: 1, 9: 1, 10: 0.5, 25: 0.25}
    ),
    ScheduleCase(schedules.CosineDecay(initial_learning_rate=1), {0: 1, 50: 0.5, 100: 0}),
    ScheduleCase(
        schedules.CosineDecay(initial_learning_rate=1, decay_steps=10, alpha=0.2), {0: 1, 5: 0.6, 10: 0.2, 50: 0.2}
    ),
    ScheduleCase(
        schedules.ExponentialDecay(initial_learning_rate=1, decay_steps=10, decay_rate=0.25), {0: 1, 5: 0.5, 10: 0.25}
    ),
    ScheduleCase(schedules.PolynomialDecay(initial_learning_rate=1, end_learning_rate=0), {0: 1, 25: 0.75, 100: 0}),
    ScheduleCase(
        schedules.PolynomialDecay(initial_learning_rate=1, decay_steps=10, end_learning_rate=0.2, power=2),
        {0: 1, 5: 0.4, 10: 0.2, 50: 0.2},
    ),
    ScheduleCase(
        schedules.InverseSquareRootDecay(initial_learning_rate=1, decay_steps=4), {0: 1, 4: 1, 16: 0.5, 64: 0.25}
    ),
    ScheduleCase(
        schedules.CosineRestarts(initial_learning_rate=1, first_decay_steps=10, m_mul=0.5),
        {0: 1, 5: 0.5, 10: 0.5, 20: 0.25, 30: 0.25, 50: 0.125, 70: 0.125},
    ),
    ScheduleCase(
        schedules.CosineRestarts(initial_learning_rate=1, first_decay_steps=10, t_mul=1, alpha=0.2),
        {0: 1, 5: 0.6, 10: 1, 15: 0.6, 20: 1},
    ),
    ScheduleCase(
        schedules.OneCycle(max_lr=1, pct_start=0.3, div_factor=10, final_div_factor=10),
        {0: 0.1, 29: 1, 64: 0.505, 99: 0.01},
    ),
    ScheduleCase(
        schedules.Warmup(warmup_steps=4, schedule=schedules.CosineDecay(initial_learning_rate=1)),
        {0: 0.25, 3: 1, 4: 1, 52: 0.5, 100: 0},
    ),
    ScheduleCase(
        schedules.Sequence(
            first=schedules.PolynomialDecay(initial_learning_rate=1, end_learning_rate=0),
            first_steps=20,
            schedule=schedules.CosineDecay(initial_learning_rate=2),
        ),
        {0: 1, 10: 0.5, 19: 0.05, 20: 2, 60: 1, 100: 0},
    ),
]

INITIALIZERS: list[tuple[initializers.Initializer, float, float]] = [  # mean and standard deviation for (400, 300)
    (initializers.Zeros(), 0, 0),
    (initializers.Ones(), 1, 0),
    (initializers.Constant(value=-2.5), -2.5, 0),
    (initializers.RandomNormal(mean=1, stddev=0.3), 1, 0.3),
    (initializers.TruncatedNormal(mean=1, stddev=0.3), 1, 0.3 * 0.87962566),
    (initializers.RandomUniform(minval=0, maxval=1), 0.5, 12**-0.5),
    (initializers.GlorotUniform(), 0, (2 / 700) ** 0.5),
    (initializers.GlorotNormal(), 0, (2 / 700) ** 0.5),
    (initializers.HeUniform(), 0, (2 / 400) ** 0.5),
    (initializers.HeNormal(), 0, (2 / 400) ** 0.5),
    (initializers.LecunUniform(), 0, (1 / 400) ** 0.5),
    (initializers.LecunNormal(), 0, (1 / 400) ** 0.5),
    (initializers.Orthogonal(gain=2), 0, 2 / 400**0.5),
    (initializers.Identity(gain=4), 0.01, 0.19975),
]

REGULARIZERS: list[tuple[regularizers.Regularizer, float]] = [  # the penalty on (1, -2, 3)
    (regularizers.L1(l1=0.5), 3.0),
    (regularizers.L2(l2=0.5), 7.0),
    (regularizers.L1L2(l1=0.5, l2=0.5), 10.0),
    (regularizers.OrthogonalRegularizer(factor=0.5), 84.5),
]

CONSTRAINTS: list[tuple[constraints.Constraint, list[Any], list[Any]]] = [  # a weight (2, 3) before and after
    (constraints.MaxNorm(), [[3, 1, -6], [4, -1, 8]], [[1.2, 1, -1.2], [1.6, -1, 1.6]]),
    (constraints.MaxNorm(max_value=5, axis=1), [[3, 0, 4], [-6, 8, 0]], [[3, 0, 4], [-3, 4, 0]]),
    (
        constraints.MaxNorm(max_value=1, axis=(1, 0)),
        [[1, 1, 1], [1, 2, 1]],
        [[1 / 3, 1 / 3, 1 / 3], [1 / 3, 2 / 3, 1 / 3]],
    ),
    (constraints.UnitNorm(), [[3, 0, -6], [4, 0, 8]], [[0.6, 0, -0.6], [0.8, 0, 0.8]]),
    (constraints.UnitNorm(axis=1), [[0.3, 0, 0.4], [0, 0, -5]], [[0.6, 0, 0.8], [0, 0, -1]]),
    (constraints.NonNegative(), [[3, 0, -6], [-4, 1, 8]], [[3, 0, 0], [0, 1, 8]]),
]

METRICS: list[tuple[Metric, list[Any], list[Any], float]] = [  # outputs, targets, value
    (classification.Accuracy(), [[2, 1, 0], [0, 1, 2], [3, 0, 0], [0, 9, 1]], [0, 2, 1, 1], 0.75),
    (classification.Accuracy(), [[-1], [2], [3]], [[0], [1], [0]], 2 / 3),
    (classification.TopKCategoricalAccuracy(k=2), [[3, 2, 1], [3, 2, 1], [1, 1, 1], [0, 5, 9]], [1, 2, 0, 1], 0.5),
    (classification.TopKCategoricalAccuracy(k=1), [[-1], [2], [3]], [[0], [1], [0]], 2 / 3),
    (classification.Precision(), [[1], [2], [3], [-1]], [[0], [1], [1], [1]], 2 / 3),
    (classification.Precision(), [[2, 1, 0], [0, 1, 2], [3, 0, 0], [0, 9, 1]], [0, 2, 1, 1], 5 / 6),
    (classification.Recall(), [[2, 1, 0], [0, 1, 2], [3, 0, 0], [0, 9, 1]], [0, 2, 1, 1], 5 / 6),
    (classification.FBeta(beta=2), [[1], [2], [3], [-1], [-1]], [[0], [1], [1], [1], [1]], 10 / 19),
    (classification.IntersectionOverUnion(), [[2, 1, 0], [0, 1, 2], [3, 0, 0], [0, 9, 1]], [0, 2, 1, 1], 2 / 3),
    (classification.IntersectionOverUnion(), [[1], [2], [3], [-1]], [[0], [1], [1], [1]], 1 / 2),
    (classification.ConfusionMatrix(), [[2, 1, 0], [0, 1, 2], [3, 0, 0], [0, 9, 1]], [0, 2, 1, 1], 1 / 4),
    (classification.ConfusionMatrix(), [[1], [2], [3], [-1]], [[0], [1], [1], [1]], 1 / 2),
    (probabilistic.LogLoss(), [[0], [0], [np.log(3)]], [[0], [1], [1]], (2 * np.log(2) - np.log(0.75)) / 3),
    (probabilistic.LogLoss(), [[0, np.log(3)], [0, 0]], [[0.5, 0.5], [0, 1]], (-np.log(3 / 16) / 2 + np.log(2)) / 2),
    (probabilistic.Perplexity(), [[1, 1, 1, 1], [2, 2, 2, 2]], [0, 3], 4),
    (
        probabilistic.ExpectedCalibrationError(bins=2),
        [[0, np.log(3)], [np.log(3), 0], [0, np.log(3)]],
        [1, 1, 1],
        1 / 12,
    ),
    (ranking.RocAuc(), [[1], [2], [2], [3]], [[0], [0], [1], [1]], 7 / 8),
    (ranking.RocAuc(), [[5, 1, 1], [1, 5, 1], [1, 1, 5], [5, 1, 1]], [0, 1, 2, 1], (5 / 6 + 3 / 4 + 1) / 3),
    (ranking.PrAuc(), [[1], [2], [2], [3]], [[0], [0], [1], [1]], 5 / 6),
    (ranking.PrAuc(), [[0, 3], [0, 2], [0, 1]], [[0, 1], [1, 0], [0, 1]], 5 / 6),
    (number_metrics.MeanSquaredError(), [[1, 2], [3, 4]], [[1, 0], [0, 4]], 13 / 4),
    (number_metrics.RootMeanSquaredError(), [[1, 2], [3, 4]], [[1, 0], [0, 4]], (13 / 4) ** 0.5),
    (number_metrics.MeanAbsolutePercentageError(), [[1], [3]], [[2], [4]], 37.5),
    (number_metrics.MeanAbsoluteError(), [[1, 2], [3, 4]], [[1, 0], [0, 4]], 1.25),
    (number_metrics.RSquared(), [[1], [2], [4]], [[1], [2], [3]], 0.5),
    (sequence_metrics.EditDistance(), [[1, 2, 3, 0], [2, 2, 0, 0]], [[1, 3, 0], [2, 1, 2]], 2 / 5),
]


def sequential(*layers: Layer) -> Sequential:
    """Return these layers in sequence."""
    return Sequential(layers=layers)
