"""The measured networks with their data: as values of the core and as job specs."""

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from core.data.prepare import Prepared, prepare, signature
from core.jobs.resolve import Resolved, resolve
from core.jobs.spec import JobSpec

FOREVER = 10_000_000


def _drawn(*shape: int) -> Any:
    """Return random numbers with three decimals in float32; a cast would take more memory than some trainings."""
    x = np.random.default_rng(0).standard_normal(shape, np.float32)
    return x.round(3, out=x)


def _as_json(numbers: Any) -> Any:
    """Return the same numbers as JSON lists."""
    return (numbers.astype(np.float64).round(3) if numbers.dtype == np.float32 else numbers).tolist()


@dataclass(frozen=True)
class Net:
    """Dense layers with relu between them. One output is a regression, more are a classification."""

    widths: tuple[int, ...]
    """Units of the input and of each layer."""
    batch: int
    rows: int
    optimizer: Literal["adam", "sgd"]
    rate: float = 0.001

    @property
    def name(self) -> str:
        """Return a name such as `20-64-64-2, batch 32, Adam`."""
        optimizer = {"adam": "Adam", "sgd": "SGD"}[self.optimizer]
        return f"{'-'.join(map(str, self.widths))}, batch {self.batch}, {optimizer}"

    @property
    def classes(self) -> bool:
        """Whether the network is a classifier."""
        return self.widths[-1] > 1

    def samples(self) -> tuple[Any, Any]:
        """Return inputs `(rows, inputs)` and targets (class ids or numbers), the same at each call."""
        x = _drawn(self.rows, self.widths[0])
        if not self.classes:
            return x, 2 * x
        return x, (x[:, : self.widths[-1]]).argmax(axis=1)

    def spec(self) -> dict[str, Any]:
        """Return a job spec that writes a loss row for every step and runs until it is cancelled."""
        x, y = self.samples()
        hidden = [{"type": "dense", "units": units, "activation": "relu"} for units in self.widths[1:-1]]
        return {
            "name": self.name,
            "data": {"type": "inline", "x": _as_json(x), "y": _as_json(y)},
            "architecture": {"layers": [*hidden, {"type": "dense", "units": self.widths[-1]}]},
            "loss": {"type": "cross_entropy" if self.classes else "mean_squared_error"},
            "optimizer": {"type": self.optimizer, "learning_rate": self.rate},
            "training": {"epochs": FOREVER, "batch_size": self.batch, "shuffle": False, "log_every": 1, "metrics": []},
        }


@dataclass(frozen=True, kw_only=True, eq=False)
class Convolutional(Net):
    """Convolutions with relu and 2 × 2 max pooling before the dense layers."""

    title: str
    image: tuple[int, int, int]
    """Height, width and channels of an input."""
    front: tuple[Any, ...]
    """The convolutional layers, as in a job spec."""
    flat: int
    """How many numbers the convolutional layers emit."""

    @property
    def name(self) -> str:
        """Return a name such as `LeNet 28×28, batch 64, Adam`."""
        return f"{self.title} {self.image[0]}×{self.image[1]}, batch {self.batch}, Adam"

    def spec(self) -> dict[str, Any]:
        """Return the job spec of the dense layers, with the convolutions before them."""
        spec = super().spec()
        images = {"type": "reshape", "target_shape": list(self.image)}
        return spec | {"architecture": {"layers": [images, *self.front, "flatten", *spec["architecture"]["layers"]]}}


@dataclass(frozen=True, kw_only=True)
class Recurrent(Net):
    """One recurrent layer, and a dense layer on its last output."""

    layer: Literal["lstm", "gru"]
    steps: int

    @property
    def name(self) -> str:
        """Return a name such as `LSTM 64 → 128, 50 steps, batch 64, Adam`."""
        inputs, units, _ = self.widths
        return f"{self.layer.upper()} {inputs} → {units}, {self.steps} steps, batch {self.batch}, Adam"

    def samples(self) -> tuple[Any, Any]:
        """Return inputs `(rows, steps, inputs)` and class ids."""
        x = _drawn(self.rows, self.steps, self.widths[0])
        return x, x[:, -1, : self.widths[-1]].argmax(axis=1)

    def spec(self) -> dict[str, Any]:
        """Return the job spec with a recurrent layer before the dense one."""
        layers = [{"type": self.layer, "units": self.widths[1]}, {"type": "dense", "units": self.widths[2]}]
        return super().spec() | {"architecture": {"layers": layers}}


@dataclass(frozen=True, kw_only=True)
class Transformer(Net):
    """A decoder-only Transformer: blocks of causal attention and two dense layers, each normalized first."""

    tokens: int
    blocks: int
    heads: int

    @property
    def name(self) -> str:
        """Return a name such as `Transformer, 2 blocks of 64, 4 heads, 64 tokens, batch 32, Adam`."""
        of = f"{self.blocks} blocks of {self.widths[1]}, {self.heads} heads"
        return f"Transformer, {of}, {self.tokens} tokens, batch {self.batch}, Adam"

    def samples(self) -> tuple[Any, Any]:
        """Return tokens `(rows, tokens)` and the token after each."""
        text = np.random.default_rng(0).integers(0, self.widths[0], (self.rows, self.tokens + 1))
        return text[:, :-1], text[:, 1:]

    def spec(self) -> dict[str, Any]:
        """Return the job spec: embeddings of token and position, the blocks, and a prediction of the next token."""
        tokens, width, _ = self.widths
        attention = {
            "type": "multi_head_attention",
            "num_heads": self.heads,
            "key_dim": width // self.heads,
            "causal": True,
        }
        wide = [{"type": "dense", "units": 4 * width, "activation": "gelu"}, {"type": "dense", "units": width}]
        block = {"type": "sequential", "layers": [_residual(attention), _residual(*wide)]}
        layers = [
            {"type": "embedding", "input_dim": tokens, "output_dim": width},
            {"type": "position_embedding", "sequence_length": self.tokens},
            {"type": "repeat", "n": self.blocks, "layer": block},
            "layer_normalization",
            {"type": "dense", "units": tokens},
        ]
        return super().spec() | {"architecture": {"layers": layers}}


def _residual(*layers: dict[str, Any]) -> dict[str, Any]:
    return {"type": "residual", "layer": {"type": "sequential", "layers": ["layer_normalization", *layers]}}


def _conv(filters: int, kernel: int, padding: str = "same") -> dict[str, Any]:
    return {"type": "conv2d", "filters": filters, "kernel_size": kernel, "padding": padding, "activation": "relu"}


LITTLE = Net((20, 64, 64, 2), 32, 4096, "adam")
LARGE = Net((784, 256, 128, 10), 128, 1024, "adam")
LINE = Net((1, 1), 5, 500, "sgd")
WIDE = Net((784, 1024, 1024, 10), 256, 1024, "adam")
LENET = Convolutional(  # LeCun et al. 1998, with relu and max pooling
    widths=(784, 120, 84, 10),
    batch=64,
    rows=256,
    optimizer="adam",
    title="LeNet",
    image=(28, 28, 1),
    front=(_conv(6, 5), "max_pooling2d", _conv(16, 5, "valid"), "max_pooling2d"),
    flat=400,
)
VGG = Convolutional(  # after Simonyan & Zisserman 2015
    widths=(3072, 128, 10),
    batch=64,
    rows=256,
    optimizer="adam",
    title="VGG-like, 32-32-p-64-64-p-128-10,",
    image=(32, 32, 3),
    front=(_conv(32, 3), _conv(32, 3), "max_pooling2d", _conv(64, 3), _conv(64, 3), "max_pooling2d"),
    flat=4096,
)
LSTM = Recurrent((64, 128, 10), 64, 256, "adam", layer="lstm", steps=50)
GRU = Recurrent((64, 128, 10), 64, 256, "adam", layer="gru", steps=50)
TRANSFORMER = Transformer((64, 64, 64), 32, 128, "adam", tokens=64, blocks=2, heads=4)
SAME_STEPS = replace(LARGE, rows=256)  # fits into a request body


def made_ready(spec: JobSpec) -> tuple[Resolved, Prepared]:
    """Return what a worker prepares from a spec with inline data."""
    resolved = resolve(spec, signature(spec.data, None))
    return resolved, resolved.fit(prepare(spec.data, None, spec.training.seed))
