"""How weights begin: small, random and different, so that units learn different things.

Fans are those of Glorot & Bengio (2010): the last axis of a weight is its outputs, what stands before it its inputs.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
from annotated_types import Ge

from core.nn.arrays import Shape, size
from core.nn.tagged_union import Tagged

Drawn: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]


def fans(shape: Shape) -> tuple[int, int]:
    """The inputs and outputs of one unit: `(fan_in, fan_out)`; those of a convolution count its window."""
    if len(shape) < 2:
        return max(size(shape), 1), max(size(shape), 1)
    window = size(shape[:-2])
    return window * shape[-2], window * shape[-1]


@dataclass(frozen=True, kw_only=True, slots=True)
class Zeros:
    """All zero: right for biases, wrong for kernels, whose units would stay alike."""

    type: Literal["zeros"] = "zeros"

    def draw(self, rng: np.random.Generator, shape: Shape) -> Drawn:
        """Zeros of `shape`."""
        return np.zeros(shape)


@dataclass(frozen=True, kw_only=True, slots=True)
class Ones:
    """All one: how scales begin."""

    type: Literal["ones"] = "ones"

    def draw(self, rng: np.random.Generator, shape: Shape) -> Drawn:
        """Ones of `shape`."""
        return np.ones(shape)


@dataclass(frozen=True, kw_only=True, slots=True)
class Constant:
    """All the same number."""

    type: Literal["constant"] = "constant"
    value: float = 0.0
    """The number."""

    def draw(self, rng: np.random.Generator, shape: Shape) -> Drawn:
        """`value` in every place of `shape`."""
        return np.full(shape, self.value)


@dataclass(frozen=True, kw_only=True, slots=True)
class RandomNormal:
    """From a normal distribution."""

    type: Literal["random_normal"] = "random_normal"
    mean: float = 0.0
    """Where the distribution stands."""
    stddev: Annotated[float, Ge(0)] = 0.05
    """How wide it is."""

    def draw(self, rng: np.random.Generator, shape: Shape) -> Drawn:
        """Numbers of `shape`."""
        return rng.normal(self.mean, self.stddev, shape)


@dataclass(frozen=True, kw_only=True, slots=True)
class TruncatedNormal:
    """From a normal distribution without what lies beyond two of its deviations."""

    type: Literal["truncated_normal"] = "truncated_normal"
    mean: float = 0.0
    """Where the distribution stands."""
    stddev: Annotated[float, Ge(0)] = 0.05
    """How wide it is before it is cut."""

    def draw(self, rng: np.random.Generator, shape: Shape) -> Drawn:
        """Numbers of `shape`; what lies beyond is drawn again."""
        drawn = rng.standard_normal(shape)
        while (beyond := np.abs(drawn) > 2).any():
            drawn[beyond] = rng.standard_normal(int(beyond.sum()))
        return self.mean + self.stddev * drawn


@dataclass(frozen=True, kw_only=True, slots=True)
class RandomUniform:
    """Evenly from an interval."""

    type: Literal["random_uniform"] = "random_uniform"
    minval: float = -0.05
    """The lower end."""
    maxval: float = 0.05
    """The upper end."""

    def draw(self, rng: np.random.Generator, shape: Shape) -> Drawn:
        """Numbers of `shape`."""
        return rng.uniform(min(self.minval, self.maxval), max(self.minval, self.maxval), shape)


@dataclass(frozen=True, kw_only=True, slots=True)
class GlorotUniform:
    """Evenly within ±√(6 / (fan_in + fan_out)): for tanh, sigmoid and linear units (Glorot & Bengio 2010, eq. 16)."""

    type: Literal["glorot_uniform"] = "glorot_uniform"

    def draw(self, rng: np.random.Generator, shape: Shape) -> Drawn:
        """Numbers of `shape`."""
        limit = np.sqrt(6 / sum(fans(shape)))
        return rng.uniform(-limit, limit, shape)


@dataclass(frozen=True, kw_only=True, slots=True)
class GlorotNormal:
    """From a normal distribution of variance 2 / (fan_in + fan_out) (Glorot & Bengio 2010, eq. 12)."""

    type: Literal["glorot_normal"] = "glorot_normal"

    def draw(self, rng: np.random.Generator, shape: Shape) -> Drawn:
        """Numbers of `shape`."""
        return rng.normal(0, np.sqrt(2 / sum(fans(shape))), shape)


@dataclass(frozen=True, kw_only=True, slots=True)
class HeUniform:
    """Evenly within ±√(6 / fan_in): for relu units (He et al. 2015, eq. 10)."""

    type: Literal["he_uniform"] = "he_uniform"

    def draw(self, rng: np.random.Generator, shape: Shape) -> Drawn:
        """Numbers of `shape`."""
        limit = np.sqrt(6 / fans(shape)[0])
        return rng.uniform(-limit, limit, shape)


@dataclass(frozen=True, kw_only=True, slots=True)
class HeNormal:
    """From a normal distribution of variance 2 / fan_in: for relu units (He et al. 2015, eq. 10)."""

    type: Literal["he_normal"] = "he_normal"

    def draw(self, rng: np.random.Generator, shape: Shape) -> Drawn:
        """Numbers of `shape`."""
        return rng.normal(0, np.sqrt(2 / fans(shape)[0]), shape)


@dataclass(frozen=True, kw_only=True, slots=True)
class LecunUniform:
    """Evenly within ±√(3 / fan_in): for selu units (LeCun et al. 1998, section 4.6)."""

    type: Literal["lecun_uniform"] = "lecun_uniform"

    def draw(self, rng: np.random.Generator, shape: Shape) -> Drawn:
        """Numbers of `shape`."""
        limit = np.sqrt(3 / fans(shape)[0])
        return rng.uniform(-limit, limit, shape)


@dataclass(frozen=True, kw_only=True, slots=True)
class LecunNormal:
    """From a normal distribution of variance 1 / fan_in: for selu units (LeCun et al. 1998, section 4.6)."""

    type: Literal["lecun_normal"] = "lecun_normal"

    def draw(self, rng: np.random.Generator, shape: Shape) -> Drawn:
        """Numbers of `shape`."""
        return rng.normal(0, np.sqrt(1 / fans(shape)[0]), shape)


@dataclass(frozen=True, kw_only=True, slots=True)
class Orthogonal:
    """A random matrix with orthogonal columns (or rows, if they are fewer) of length `gain` (Saxe et al. 2014)."""

    type: Literal["orthogonal"] = "orthogonal"
    gain: float = 1.0
    """Their length."""

    def draw(self, rng: np.random.Generator, shape: Shape) -> Drawn:
        """All axes but the last are taken as one."""
        rows, columns = size(shape[:-1]), size(shape[-1:])
        q, r = np.linalg.qr(rng.standard_normal((max(rows, columns), min(rows, columns))))
        q *= np.where(np.diag(r) < 0, -1, 1)  # so that every such matrix is equally likely
        return np.reshape(self.gain * (q if rows >= columns else q.T), shape)


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """What leaves its input as it is, where inputs and outputs are as many (Le et al. 2015)."""

    type: Literal["identity"] = "identity"
    gain: float = 1.0
    """What stands on the diagonal."""

    def draw(self, rng: np.random.Generator, shape: Shape) -> Drawn:
        """All axes but the last are taken as one."""
        return np.reshape(self.gain * np.eye(size(shape[:-1]), size(shape[-1:])), shape)


Initializer: TypeAlias = Annotated[
    Zeros
    | Ones
    | Constant
    | RandomNormal
    | TruncatedNormal
    | RandomUniform
    | GlorotUniform
    | GlorotNormal
    | HeUniform
    | HeNormal
    | LecunUniform
    | LecunNormal
    | Orthogonal
    | Identity,
    Tagged(),
]
