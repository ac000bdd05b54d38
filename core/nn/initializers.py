"""Initializers: the distributions of the initial weights.

Fans are those of Glorot & Bengio (2010): the last axis of a weight is its outputs, the axes before it its inputs.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
from annotated_types import Ge

from core.nn.arrays import Shape, size
from core.nn.tagged_union import Tagged

Drawn: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]


def fans(shape: Shape) -> tuple[int, int]:
    """Return the inputs and outputs of one unit, `(fan_in, fan_out)`; for a convolution they include its window."""
    if len(shape) < 2:
        return max(size(shape), 1), max(size(shape), 1)
    window = size(shape[:-2])
    return window * shape[-2], window * shape[-1]


@dataclass(frozen=True, kw_only=True, slots=True)
class Zeros:
    """All zero: for biases. With a kernel of zeros, all units would remain equal."""

    type: Literal["zeros"] = "zeros"

    def draw(self, rng: np.random.Generator, shape: Shape) -> Drawn:
        """Return zeros of `shape`."""
        return np.zeros(shape)


@dataclass(frozen=True, kw_only=True, slots=True)
class Ones:
    """All one: for scales."""

    type: Literal["ones"] = "ones"

    def draw(self, rng: np.random.Generator, shape: Shape) -> Drawn:
        """Return ones of `shape`."""
        return np.ones(shape)


@dataclass(frozen=True, kw_only=True, slots=True)
class Constant:
    """All equal to one number."""

    type: Literal["constant"] = "constant"
    value: float = 0.0
    """The number."""

    def draw(self, rng: np.random.Generator, shape: Shape) -> Drawn:
        """Return an array of `shape` filled with `value`."""
        return np.full(shape, self.value)


@dataclass(frozen=True, kw_only=True, slots=True)
class RandomNormal:
    """Random numbers from a normal distribution."""

    type: Literal["random_normal"] = "random_normal"
    mean: float = 0.0
    """The mean."""
    stddev: Annotated[float, Ge(0)] = 0.05
    """The standard deviation."""

    def draw(self, rng: np.random.Generator, shape: Shape) -> Drawn:
        """Draw an array of `shape`."""
        return rng.normal(self.mean, self.stddev, shape)


@dataclass(frozen=True, kw_only=True, slots=True)
class TruncatedNormal:
    """Random numbers from a normal distribution truncated at two standard deviations."""

    type: Literal["truncated_normal"] = "truncated_normal"
    mean: float = 0.0
    """The mean."""
    stddev: Annotated[float, Ge(0)] = 0.05
    """The standard deviation before truncation."""

    def draw(self, rng: np.random.Generator, shape: Shape) -> Drawn:
        """Draw an array of `shape`; numbers beyond two standard deviations are drawn again."""
        drawn = rng.standard_normal(shape)
        while (beyond := np.abs(drawn) > 2).any():
            drawn[beyond] = rng.standard_normal(int(beyond.sum()))
        return self.mean + self.stddev * drawn


@dataclass(frozen=True, kw_only=True, slots=True)
class RandomUniform:
    """Random numbers from a uniform distribution."""

    type: Literal["random_uniform"] = "random_uniform"
    minval: float = -0.05
    """The lower bound."""
    maxval: float = 0.05
    """The upper bound."""

    def draw(self, rng: np.random.Generator, shape: Shape) -> Drawn:
        """Draw an array of `shape`."""
        return rng.uniform(min(self.minval, self.maxval), max(self.minval, self.maxval), shape)


@dataclass(frozen=True, kw_only=True, slots=True)
class GlorotUniform:
    """Uniform within ±√(6 / (fan_in + fan_out)): for tanh, sigmoid and linear units (Glorot & Bengio 2010, eq. 16)."""

    type: Literal["glorot_uniform"] = "glorot_uniform"

    def draw(self, rng: np.random.Generator, shape: Shape) -> Drawn:
        """Draw an array of `shape`."""
        limit = np.sqrt(6 / sum(fans(shape)))
        return rng.uniform(-limit, limit, shape)


@dataclass(frozen=True, kw_only=True, slots=True)
class GlorotNormal:
    """Normal with variance 2 / (fan_in + fan_out) (Glorot & Bengio 2010, eq. 12)."""

    type: Literal["glorot_normal"] = "glorot_normal"

    def draw(self, rng: np.random.Generator, shape: Shape) -> Drawn:
        """Draw an array of `shape`."""
        return rng.normal(0, np.sqrt(2 / sum(fans(shape))), shape)


@dataclass(frozen=True, kw_only=True, slots=True)
class HeUniform:
    """Uniform within ±√(6 / fan_in): for relu units (He et al. 2015, eq. 10)."""

    type: Literal["he_uniform"] = "he_uniform"

    def draw(self, rng: np.random.Generator, shape: Shape) -> Drawn:
        """Draw an array of `shape`."""
        limit = np.sqrt(6 / fans(shape)[0])
        return rng.uniform(-limit, limit, shape)


@dataclass(frozen=True, kw_only=True, slots=True)
class HeNormal:
    """Normal with variance 2 / fan_in: for relu units (He et al. 2015, eq. 10)."""

    type: Literal["he_normal"] = "he_normal"

    def draw(self, rng: np.random.Generator, shape: Shape) -> Drawn:
        """Draw an array of `shape`."""
        return rng.normal(0, np.sqrt(2 / fans(shape)[0]), shape)


@dataclass(frozen=True, kw_only=True, slots=True)
class LecunUniform:
    """Uniform within ±√(3 / fan_in): for selu units (LeCun et al. 1998, section 4.6)."""

    type: Literal["lecun_uniform"] = "lecun_uniform"

    def draw(self, rng: np.random.Generator, shape: Shape) -> Drawn:
        """Draw an array of `shape`."""
        limit = np.sqrt(3 / fans(shape)[0])
        return rng.uniform(-limit, limit, shape)


@dataclass(frozen=True, kw_only=True, slots=True)
class LecunNormal:
    """Normal with variance 1 / fan_in: for selu units (LeCun et al. 1998, section 4.6)."""

    type: Literal["lecun_normal"] = "lecun_normal"

    def draw(self, rng: np.random.Generator, shape: Shape) -> Drawn:
        """Draw an array of `shape`."""
        return rng.normal(0, np.sqrt(1 / fans(shape)[0]), shape)


@dataclass(frozen=True, kw_only=True, slots=True)
class Orthogonal:
    """A random matrix with orthogonal columns (or rows, if there are fewer) of norm `gain` (Saxe et al. 2014)."""

    type: Literal["orthogonal"] = "orthogonal"
    gain: float = 1.0
    """The norm of the columns or rows."""

    def draw(self, rng: np.random.Generator, shape: Shape) -> Drawn:
        """Draw an array of `shape`; all axes but the last form the rows of the matrix."""
        rows, columns = size(shape[:-1]), size(shape[-1:])
        q, r = np.linalg.qr(rng.standard_normal((max(rows, columns), min(rows, columns))))
        q *= np.where(np.diag(r) < 0, -1, 1)  # for a uniform distribution over all such matrices
        return np.reshape(self.gain * (q if rows >= columns else q.T), shape)


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """The identity matrix: with equal numbers of inputs and outputs, the output is the input (Le et al. 2015)."""

    type: Literal["identity"] = "identity"
    gain: float = 1.0
    """The value on the diagonal."""

    def draw(self, rng: np.random.Generator, shape: Shape) -> Drawn:
        """Draw an array of `shape`; all axes but the last form the rows of the matrix."""
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
    Tagged("Initializer"),
]
