"""Small data sets that need no file: the well-known shapes on which a net shows what it can learn.

Each is a row of a table: how its points are drawn, its classes and its defaults.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from annotated_types import Ge, Le
from numpy.typing import NDArray

from core.data.errors import InvalidData
from core.data.nested_lists import Arrays
from core.data.split import Validation
from core.data.targets import Classes, numbers_of

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Builtin:
    """A data set that is made on the spot, the same for the same seed."""

    type: Literal["builtin"] = "builtin"
    """`builtin`."""

    name: Literal["linear", "xor", "spirals", "circles", "moons", "sine", "blobs"]
    """`linear` (y = slope · x for x = 1, 2, …), `xor` (four points), `spirals`, `circles`, `moons` (two classes in the
    plane), `sine` (one period of it), `blobs` (three classes in the plane)."""

    rows: Annotated[int, Ge(1), Le(100_000)] | None = None
    """How many rows; by default 5 for `linear`, 4 for `xor`, 300 for the others."""

    noise: Annotated[float, Ge(0), Le(10)] | None = None
    """The standard deviation of what is added to each coordinate (to y for `linear` and `sine`); by default none for
    `linear`, `xor` and `sine`, a little for the others."""

    slope: Annotated[float, Ge(-1000), Le(1000)] | None = None
    """The slope of `linear`, 2 by default; only for it."""

    seed: Annotated[int, Ge(0), Le(2**63 - 1)] = 0
    """Draws the points and the noise."""

    validation: Validation | None = None
    """What is held out to validate with."""

    def arrays(self) -> Arrays:
        """The rows: x (rows, 1) or (rows, 2), and y as numbers or classes.

        Raises `InvalidData` for a slope where there is none, and for fewer rows than classes.
        """
        recipe = RECIPES[self.name]
        if self.slope is not None and recipe.make is not linear:
            raise InvalidData("/data/slope", f"belongs to linear, and this is {self.name}: leave it out")
        rows = recipe.rows if self.rows is None else self.rows
        if rows < len(recipe.classes):
            raise InvalidData("/data/rows", f"{rows} rows cannot show {len(recipe.classes)} classes: ask for more")
        noise = recipe.noise if self.noise is None else self.noise
        slope = 2.0 if self.slope is None else self.slope
        x, y = recipe.make(Drawing(rows, noise, slope, np.random.Generator(np.random.PCG64(self.seed))))
        return Arrays(x, y, Classes(names=recipe.classes) if recipe.classes else numbers_of(y))


class Drawing(NamedTuple):
    """What a recipe draws from."""

    rows: int
    noise: float
    slope: float
    random: np.random.Generator

    def classes(self, number: int) -> NDArray[np.int64]:
        """Ids of classes in turn, so that any first rows are balanced."""
        return np.arange(self.rows) % number

    def blurred(self, points: Floats) -> Floats:
        """The points with noise added."""
        return points + self.noise * self.random.standard_normal(points.shape) if self.noise else points


def linear(drawing: Drawing) -> tuple[Floats, NDArray[Any]]:
    """The line y = slope · x at x = 1, 2, …."""
    x = np.arange(1.0, drawing.rows + 1)[:, None]
    return x, drawing.blurred(drawing.slope * x)


def sine(drawing: Drawing) -> tuple[Floats, NDArray[Any]]:
    """One period of y = sin x, evenly from −π to π."""
    x = np.linspace(-np.pi, np.pi, drawing.rows)[:, None]
    return x, drawing.blurred(np.sin(x))


def xor(drawing: Drawing) -> tuple[Floats, NDArray[Any]]:
    """The corners of the unit square in turn; the class is 1 where just one coordinate is 1."""
    corner = drawing.classes(4)
    bits = np.stack([corner // 2, corner % 2], axis=1)
    return drawing.blurred(bits.astype(np.float64)), bits[:, 0] ^ bits[:, 1]


def spirals(drawing: Drawing) -> tuple[Floats, NDArray[Any]]:
    """Two arms of one and three quarter turns, one the mirror image of the other (Lang and Witbrock 1988)."""
    arm = drawing.classes(2)
    radius = np.sqrt(drawing.random.uniform(0.01, 1, drawing.rows))
    return drawing.blurred(_polar(radius, 3.5 * np.pi * radius + np.pi * arm)), arm


def circles(drawing: Drawing) -> tuple[Floats, NDArray[Any]]:
    """A circle of radius 1/2 in one of radius 1."""
    ring = drawing.classes(2)
    return drawing.blurred(_polar((1 + ring) / 2, drawing.random.uniform(0, 2 * np.pi, drawing.rows))), ring


def moons(drawing: Drawing) -> tuple[Floats, NDArray[Any]]:
    """Two half circles that reach into one another."""
    moon = drawing.classes(2)
    angle = drawing.random.uniform(0, np.pi, drawing.rows) + np.pi * moon
    return drawing.blurred(_polar(np.ones(drawing.rows), angle) + moon[:, None] * np.array([1.0, 0.5])), moon


def blobs(drawing: Drawing) -> tuple[Floats, NDArray[Any]]:
    """Three clouds around the corners of a triangle."""
    blob = drawing.classes(3)
    return drawing.blurred(_polar(np.ones(drawing.rows), 2 * np.pi * blob / 3)), blob


def _polar(radius: Floats, angle: Floats) -> Floats:
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


class Recipe(NamedTuple):
    """A built-in data set: how it is drawn, its classes (none for numbers), and what holds where nothing is said."""

    make: Callable[[Drawing], tuple[Floats, NDArray[Any]]]
    classes: tuple[str, ...] = ()
    rows: int = 300
    noise: float = 0.0


RECIPES = {
    "linear": Recipe(linear, rows=5),
    "xor": Recipe(xor, ("0", "1"), rows=4),
    "spirals": Recipe(spirals, ("blue", "orange"), noise=0.02),
    "circles": Recipe(circles, ("inner", "outer"), noise=0.05),
    "moons": Recipe(moons, ("upper", "lower"), noise=0.1),
    "sine": Recipe(sine),
    "blobs": Recipe(blobs, ("blue", "orange", "green"), noise=0.2),
}
