"""Fields that many layers share, as mixins: a kernel, a bias, and whether the layer is trained.

A mixin has empty slots of its own, so that a layer can combine several and still be a class with slots.
"""

from dataclasses import dataclass, field

from core.nn.arrays import Shape
from core.nn.constraints import Constraint
from core.nn.initializers import GlorotUniform, Initializer, Zeros
from core.nn.plan import Weight
from core.nn.regularizers import Regularizer


@dataclass(frozen=True, kw_only=True)
class Trainable:
    """A layer with weights, which can be frozen."""

    __slots__ = ()

    type: str
    trainable: bool = True
    """Whether the layer is trained; if not, its weights stay fixed and have no penalty."""


@dataclass(frozen=True, kw_only=True)
class Kernel(Trainable):
    """A layer with a kernel W."""

    __slots__ = ()

    kernel_initializer: Initializer = field(default=GlorotUniform())
    """The initial values of the kernel."""
    kernel_regularizer: Regularizer | None = None
    """A penalty on the kernel."""
    kernel_constraint: Constraint | None = None
    """A constraint on the kernel."""

    def kernel_weight(self, shape: Shape) -> Weight:
        """Return the kernel as a weight of this shape."""
        return Weight(shape, self.kernel_initializer, self.kernel_regularizer, self.kernel_constraint)


@dataclass(frozen=True, kw_only=True)
class Bias(Trainable):
    """A layer with an optional bias b."""

    __slots__ = ()

    use_bias: bool = True
    """Whether to add a bias."""
    bias_initializer: Initializer = field(default=Zeros())
    """The initial values of the bias."""
    bias_regularizer: Regularizer | None = None
    """A penalty on the bias."""
    bias_constraint: Constraint | None = None
    """A constraint on the bias."""

    def bias_weight(self, shape: Shape) -> Weight:
        """Return the bias as a weight of this shape."""
        return Weight(shape, self.bias_initializer, self.bias_regularizer, self.bias_constraint)
