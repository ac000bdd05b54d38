"""A table of optimizers: at least one row for each member."""

from core.nn import schedules
from core.nn.optimizers import adam, adaptive, lbfgs, matrix, sgd, wrappers
from core.nn.optimizers.wrappers import Optimizer

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
