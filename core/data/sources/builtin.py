"""Built-in datasets: small, generated from a seed, each with a well-known shape.

`BUILTIN_DATASETS` has a row for each: its function, its class names and its defaults.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from annotated_types import Ge, Le
from numpy.typing import NDArray

from core.data.errors import InvalidData
from core.data.schema import Schema
from core.data.sources.arrays import Arrays
from core.data.sources.source import LoadedData, SourceSignature, StoredDataset
from core.data.splits import chosen_split
from core.data.splits.fraction import FractionSplit, Validation
from core.data.splits.split import SplitRule
from core.data.targets.classes import Classes
from core.data.targets.numbers import Numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class Builtin:
    """A generated dataset; the same seed gives the same rows."""

    type: Literal["builtin"] = "builtin"
    """`builtin`."""

    name: Literal["linear", "xor", "spirals", "circles", "moons", "sine", "blobs"]
    """`linear` (y = slope · x for x = 1, 2, …), `xor` (four points), `spirals`, `circles`, `moons` (two classes in the
    plane), `sine` (one period), `blobs` (three classes in the plane)."""

    rows: Annotated[int, Ge(1), Le(100_000)] | None = None
    """The number of rows; by default 5 for `linear`, 4 for `xor`, 300 for the others."""

    noise: Annotated[float, Ge(0), Le(10)] | None = None
    """The standard deviation of normal noise added to each coordinate (to y for `linear` and `sine`); by default 0 for
    `linear`, `xor` and `sine`, 0.02 for `spirals`, 0.05 for `circles`, 0.1 for `moons`, 0.2 for `blobs`."""

    slope: Annotated[float, Ge(-1000), Le(1000)] | None = None
    """The slope of `linear`, 2 by default; only for it."""

    seed: Annotated[int, Ge(0), Le(2**63 - 1)] = 0
    """Seed of the points and the noise."""

    validation: Validation | None = None
    """The rows for validation."""

    split: FractionSplit | None = None
    """The rows for validation and for a test after the last epoch, instead of `validation`."""

    @property
    def split_rule(self) -> SplitRule:
        """The split that `split` or `validation` asks for. Raises `InvalidData` where both do."""
        return chosen_split(self.validation, self.split)

    @property
    def dataset_id(self) -> None:
        """None: no dataset is needed."""

    @property
    def padding(self) -> None:
        """None: all rows are equally long."""

    def signature(self, schema: Schema | None) -> SourceSignature:
        """Return the number of rows and their shapes. Raises `InvalidData` as `arrays` does."""
        return self.arrays().signature()

    def load(self, dataset: StoredDataset | None) -> LoadedData:
        """Return all rows. Raises `InvalidData` as `arrays` does."""
        return self.arrays().load()

    def arrays(self) -> Arrays:
        """Return the rows as arrays: x (rows, 1) or (rows, 2), and y as numbers or classes.

        Raises `InvalidData` for a slope of another dataset than `linear`, and for fewer rows than classes.
        """
        dataset = BUILTIN_DATASETS[self.name]
        if self.slope is not None and dataset.generate is not linear:
            raise InvalidData("/data/slope", f"is only for linear, and this is {self.name}: leave it out")
        rows = dataset.rows if self.rows is None else self.rows
        if rows < len(dataset.classes):
            message = f"{rows} rows are fewer than the {len(dataset.classes)} classes: ask for more rows"
            raise InvalidData("/data/rows", message)
        noise = dataset.noise if self.noise is None else self.noise
        slope = 2.0 if self.slope is None else self.slope
        random = np.random.Generator(np.random.PCG64(self.seed))
        x, y = dataset.generate(SampleOptions(rows, noise, slope, random))
        return Arrays(x, y, Classes(names=dataset.classes) if dataset.classes else Numbers.from_values(y))


class SampleOptions(NamedTuple):
    """Options and random numbers of the functions below."""

    rows: int
    noise: float
    slope: float
    random: np.random.Generator

    def class_ids(self, number: int) -> NDArray[np.int64]:
        """Return class ids (rows,) in turn, 0, 1, …, 0, 1, …, so that any first rows are balanced."""
        return np.arange(self.rows) % number

    def with_noise(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the points with normal noise added."""
        return points + self.noise * self.random.standard_normal(points.shape) if self.noise else points


def linear(options: SampleOptions) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """Return points of the line y = slope · x at x = 1, 2, …."""
    x = np.arange(1.0, options.rows + 1)[:, None]
    return x, options.with_noise(options.slope * x)


def sine(options: SampleOptions) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """Return points of one period of y = sin x, evenly spaced from −π to π."""
    x = np.linspace(-np.pi, np.pi, options.rows)[:, None]
    return x, options.with_noise(np.sin(x))


def xor(options: SampleOptions) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """Return the corners of the unit square in turn; the class is 1 where exactly one coordinate is 1."""
    corner = options.class_ids(4)
    bits = np.stack([corner // 2, corner % 2], axis=1)
    return options.with_noise(bits.astype(np.float64)), bits[:, 0] ^ bits[:, 1]


def spirals(options: SampleOptions) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """Return two arms of 1¾ turns, one the mirror image of the other (Lang and Witbrock 1988)."""
    arm = options.class_ids(2)
    radius = np.sqrt(options.random.uniform(0.01, 1, options.rows))
    return options.with_noise(_polar(radius, 3.5 * np.pi * radius + np.pi * arm)), arm


def circles(options: SampleOptions) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """Return a circle of radius 1/2 inside one of radius 1."""
    ring = options.class_ids(2)
    return options.with_noise(_polar((1 + ring) / 2, options.random.uniform(0, 2 * np.pi, options.rows))), ring


def moons(options: SampleOptions) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """Return two interleaved half circles."""
    moon = options.class_ids(2)
    angle = options.random.uniform(0, np.pi, options.rows) + np.pi * moon
    return options.with_noise(_polar(np.ones(options.rows), angle) + moon[:, None] * np.array([1.0, 0.5])), moon


def blobs(options: SampleOptions) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """Return three clusters around the corners of a triangle."""
    blob = options.class_ids(3)
    return options.with_noise(_polar(np.ones(options.rows), 2 * np.pi * blob / 3)), blob


def _polar(radius: NDArray[np.float64], angle: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


class BuiltinDataset(NamedTuple):
    """One built-in dataset: its function, its class names (none for numbers), and its defaults."""

    generate: Callable[[SampleOptions], tuple[NDArray[np.float64], NDArray[Any]]]
    classes: tuple[str, ...] = ()
    rows: int = 300
    noise: float = 0.0


BUILTIN_DATASETS: Mapping[str, BuiltinDataset] = MappingProxyType(
    {
        "linear": BuiltinDataset(linear, rows=5),
        "xor": BuiltinDataset(xor, ("0", "1"), rows=4),
        "spirals": BuiltinDataset(spirals, ("blue", "orange"), noise=0.02),
        "circles": BuiltinDataset(circles, ("inner", "outer"), noise=0.05),
        "moons": BuiltinDataset(moons, ("upper", "lower"), noise=0.1),
        "sine": BuiltinDataset(sine),
        "blobs": BuiltinDataset(blobs, ("blue", "orange", "green"), noise=0.2),
    }
)
