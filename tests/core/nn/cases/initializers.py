"""A table of initializers and their moments: at least one row for each member."""

from core.nn import initializers

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
