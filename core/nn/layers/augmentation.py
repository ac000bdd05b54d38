"""Examples that are varied while learning: pictures mirrored, moved or turned, and pieces left out."""

import math
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

import numpy as np
from annotated_types import Ge, Le

from core.nn.arrays import Array, Backward, Shape, size
from core.nn.kernels.resampling import FillMode, Pixels, plan_of_a_picture, resampled
from core.nn.kernels.windows import Count, checked
from core.nn.plan import Plan, ShapeMismatch, Views
from core.nn.step.context import PassContext

Mode: TypeAlias = Literal["horizontal", "vertical", "horizontal_and_vertical"]

Share: TypeAlias = Annotated[float, Ge(0), Le(1)]
Signed: TypeAlias = Annotated[float, Ge(-1), Le(1)]
Ratio: TypeAlias = Annotated[float, Ge(1e-3), Le(1e3)]
Factor: TypeAlias = Share | tuple[Signed, Signed]
"""How far at most to either side, or the two ends between which it is."""

FLIPPED_AXES: dict[Mode, tuple[int, ...]] = {"horizontal": (2,), "vertical": (1,), "horizontal_and_vertical": (1, 2)}


@dataclass(frozen=True, kw_only=True, slots=True)
class RandomFlip:
    """Mirrors each picture with a chance of one half while training.

    `(batch, height, width, channels)` in, the same shape out; a prediction passes unchanged.
    """

    type: Literal["random_flip"] = "random_flip"
    mode: Mode = "horizontal_and_vertical"
    """Left and right, top and bottom, or each of both by a chance of its own."""

    def plan(self, shape: Shape) -> Plan:
        """No weights."""
        numbers = size(checked(shape, ("height", "width")))
        return Plan(shape, activation_size=2 * len(FLIPPED_AXES[self.mode]) * (numbers + 1), divisible=False)

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """The chosen rows mirrored; a mirror undoes itself, so the gradient is mirrored likewise."""
        if ctx.rng is None or not ctx.training:
            return x, lambda d_y: d_y
        axes = FLIPPED_AXES[self.mode]
        draws = ctx.rng.random(out=ctx.empty((len(axes), len(x), 1, 1, 1)), dtype=x.dtype.type)
        chosen = np.less(draws, 0.5, out=ctx.empty(draws.shape, np.bool_))

        def mirrored(rows: Array) -> Array:
            for axis, flipped in zip(axes, chosen, strict=True):
                y = ctx.empty(rows.shape)
                np.copyto(y, rows)
                np.copyto(y, np.flip(rows, axis), where=flipped)
                rows = y
            return rows

        return mirrored(x), mirrored


def drawn(factor: Factor, rows: int, rng: np.random.Generator, ctx: PassContext) -> Array:
    """A number between the ends for each row, `(rows, 1, 1)`."""
    least, most = factor if isinstance(factor, tuple) else (-factor, factor)
    draws: Array = ctx.empty((rows, 1, 1))
    rng.random(out=draws, dtype=draws.dtype.type)
    draws *= most - least
    draws += least
    return draws


@dataclass(frozen=True, kw_only=True, slots=True)
class RandomTranslation:
    """Moves each picture by a chance distance while training (Simard et al. 2003).

    `(batch, height, width, channels)` in, the same shape out; a prediction passes unchanged.
    """

    type: Literal["random_translation"] = "random_translation"
    height_factor: Factor
    """How far down, in heights: at most so far up or down, or between two numbers, of which those below 0 are up."""
    width_factor: Factor
    """How far to the right, in widths: at most so far to either side, or between two numbers."""
    fill_mode: FillMode = "reflect"
    """What stands where it has gone from: `fill_value`, the border's pixels, the picture mirrored, or its other end."""
    fill_value: float = 0.0
    """What stands there where the mode is `constant`."""

    def plan(self, shape: Shape) -> Plan:
        """No weights."""
        return plan_of_a_picture(shape, sum(shape[:2]))

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """Bilinear, at places as far above and to the left; `∂x` is its transpose."""
        if ctx.rng is None or not ctx.training:
            return x, lambda d_y: d_y
        batch, height, width, _ = x.shape
        up, left = (drawn(factor, batch, ctx.rng, ctx) for factor in (self.height_factor, self.width_factor))
        up *= -height
        left *= -width
        down = np.add(up, np.arange(height, dtype=x.dtype)[:, None], out=ctx.empty((batch, height, 1)))
        across = np.add(left, np.arange(width, dtype=x.dtype), out=ctx.empty((batch, 1, width)))
        return resampled(x, down, across, self.fill_mode, self.fill_value, ctx, input_gradient=views.input_gradient)


def from_the_middle(length: int, x: Array) -> Array:
    """How far each pixel of an axis is from its middle, `(length,)`."""
    return np.arange(length, dtype=x.dtype) - (length - 1) / 2


@dataclass(frozen=True, kw_only=True, slots=True)
class RandomZoom:
    """Shows each picture from nearer or farther by chance while training.

    `(batch, height, width, channels)` in, the same shape out; a prediction passes unchanged.
    """

    type: Literal["random_zoom"] = "random_zoom"
    height_factor: Factor
    """How much farther, in heights: 0.2 shows a fifth more, -0.2 a fifth less; at most so much of both, or between two
    numbers."""
    width_factor: Factor | None = None
    """How much farther, in widths; left out: as far as the height, so that nothing is distorted."""
    fill_mode: FillMode = "reflect"
    """What stands around the picture: `fill_value`, the border's pixels, the picture mirrored, or its other end."""
    fill_value: float = 0.0
    """What stands there where the mode is `constant`."""

    def plan(self, shape: Shape) -> Plan:
        """No weights."""
        return plan_of_a_picture(shape, sum(shape[:2]))

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """Bilinear, at places (1 + factor) times as far from the middle; `∂x` is its transpose."""
        if ctx.rng is None or not ctx.training:
            return x, lambda d_y: d_y
        batch, height, width, _ = x.shape
        tall = drawn(self.height_factor, batch, ctx.rng, ctx)
        wide = tall if self.width_factor is None else drawn(self.width_factor, batch, ctx.rng, ctx)
        i, j = from_the_middle(height, x)[:, None], from_the_middle(width, x)
        down = np.multiply(tall, i, out=ctx.empty((batch, height, 1)))
        down += np.arange(height, dtype=x.dtype)[:, None]
        across = np.multiply(wide, j, out=ctx.empty((batch, 1, width)))
        across += np.arange(width, dtype=x.dtype)
        return resampled(x, down, across, self.fill_mode, self.fill_value, ctx, input_gradient=views.input_gradient)


@dataclass(frozen=True, kw_only=True, slots=True)
class RandomRotation:
    """Turns each picture about its middle by a chance angle while training.

    `(batch, height, width, channels)` in, the same shape out; a prediction passes unchanged.
    """

    type: Literal["random_rotation"] = "random_rotation"
    factor: Factor
    """How far, in whole turns against the clock: at most so much to either side, or between two numbers."""
    fill_mode: FillMode = "reflect"
    """What stands around the picture: `fill_value`, the border's pixels, the picture mirrored, or its other end."""
    fill_value: float = 0.0
    """What stands there where the mode is `constant`."""

    def plan(self, shape: Shape) -> Plan:
        """No weights."""
        return plan_of_a_picture(shape, 2 * size(shape[:2]))

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """Bilinear, at `(i·cos α + j·sin α, j·cos α − i·sin α)` from the middle; `∂x` is its transpose."""
        if ctx.rng is None or not ctx.training:
            return x, lambda d_y: d_y
        angle = drawn(self.factor, len(x), ctx.rng, ctx)
        angle *= 2 * np.pi
        cos, sin = np.cos(angle, out=ctx.empty(angle.shape)), np.sin(angle, out=ctx.empty(angle.shape))
        height, width = x.shape[1:3]
        i, j = from_the_middle(height, x)[:, None], from_the_middle(width, x)
        down, across, part = (ctx.empty(x.shape[:3]) for _ in range(3))
        np.multiply(cos, i, out=down)
        down += np.multiply(sin, j, out=part)
        down += (height - 1) / 2
        np.multiply(cos, j, out=across)
        across -= np.multiply(sin, i, out=part)
        across += (width - 1) / 2
        return resampled(x, down, across, self.fill_mode, self.fill_value, ctx, input_gradient=views.input_gradient)


def outside_a_span(rows: int, length: int, width: int, rng: np.random.Generator, ctx: PassContext) -> Array:
    """`(rows, length)` ones, and zeros on a span of 0 to `width` places that begins anywhere it fits."""
    widths, starts = draws = ctx.empty((2, rows, 1))
    rng.random(out=draws, dtype=draws.dtype.type)
    widths *= width + 1
    np.floor(widths, out=widths)
    return outside(widths, starts, length, ctx)


def outside(widths: Array, starts: Array, length: int, ctx: PassContext) -> Array:
    """`(rows, length)` ones, and zeros on a span of so many places in each row `(rows, 1)`.

    `starts` are draws from 0 to 1 of where it begins, among all places at which it fits.
    """
    starts *= length + 1 - widths
    np.floor(starts, out=starts)
    places = np.subtract(np.arange(length, dtype=starts.dtype), starts, out=ctx.empty((len(starts), length)))
    before = np.less(places, 0, out=ctx.empty(places.shape))
    np.greater_equal(places, widths, out=places)
    return np.maximum(places, before, out=places)


def masked(x: Array, axis: int, width: int, ctx: PassContext) -> tuple[Array, Backward]:
    """`y = x · m` with a random span of zeros in m along an axis, and so is the gradient."""
    if ctx.rng is None or not ctx.training or not width:
        return x, lambda d_y: d_y
    kept = outside_a_span(len(x), x.shape[axis], width, ctx.rng, ctx)
    kept = kept.reshape(len(x), *(x.shape[axis] if i == axis else 1 for i in range(1, x.ndim)))
    return np.multiply(x, kept, out=ctx.empty(x.shape)), lambda d_y: np.multiply(d_y, kept, out=d_y)


def plan_of_a_mask(shape: Shape, axis: int, width: int) -> Plan:
    """No weights; refuses a span that is longer than what it is cut from."""
    if len(shape) < 2:
        raise ShapeMismatch(f"needs (steps, features), and gets {shape}: put a reshape before it")
    if width > shape[axis]:
        raise ShapeMismatch(f"gets {shape[axis]} places, and may hide {width}: make the mask no wider")
    return Plan(shape, flops=2 * size(shape), activation_size=size(shape) + 2 * shape[axis] + 2, divisible=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class TimeMask:
    """Hides a random run of steps of each sequence while training (SpecAugment, Park et al. 2019).

    `(batch, steps, features)` in, the same shape out, with zeros where it hides; a prediction passes unchanged.
    """

    type: Literal["time_mask"] = "time_mask"
    max_width: Annotated[int, Ge(0)]
    """The most steps that are hidden; how many is drawn anew for each row."""

    def plan(self, shape: Shape) -> Plan:
        """No weights."""
        return plan_of_a_mask(shape, 0, self.max_width)

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """`y = x · m`, and so is the gradient."""
        return masked(x, 1, self.max_width, ctx)


@dataclass(frozen=True, kw_only=True, slots=True)
class FrequencyMask:
    """Hides a random band of frequencies of each sequence while training (SpecAugment, Park et al. 2019).

    `(batch, steps, features)` in, the same shape out, with zeros where it hides; a prediction passes unchanged.
    """

    type: Literal["frequency_mask"] = "frequency_mask"
    max_width: Annotated[int, Ge(0)]
    """The most features that are hidden; how many is drawn anew for each row."""

    def plan(self, shape: Shape) -> Plan:
        """No weights."""
        return plan_of_a_mask(shape, 1, self.max_width)

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """`y = x · m`, and so is the gradient."""
        return masked(x, 2, self.max_width, ctx)


@dataclass(frozen=True, kw_only=True, slots=True)
class RandomCrop:
    """Cuts a piece out of each picture, at a chance place while training (Krizhevsky et al. 2012, section 4.1).

    `(batch, height, width, channels)` in, the piece out, of the same channels; a prediction sees the middle.
    """

    type: Literal["random_crop"] = "random_crop"
    height: Count
    """How many rows the piece has."""
    width: Count
    """How many columns it has."""

    def plan(self, shape: Shape) -> Plan:
        """No weights; refuses a piece that is larger than the picture."""
        height, width, channels = checked(shape, ("height", "width"))
        if self.height > height or self.width > width:
            piece = f"{self.height} × {self.width}"
            raise ShapeMismatch(f"gets {height} × {width} pixels, and cuts out {piece}: make the piece no larger")
        pixels = self.height * self.width
        activation_size = size(shape) + pixels * (channels + 2) + 6
        return Plan((self.height, self.width, channels), activation_size=activation_size, divisible=False)

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """`∂x` is `∂y` where the piece was, and 0 around it."""
        index = self._pixels(x.shape[:3], ctx)
        y = ctx.empty((*index.shape, x.shape[-1]))
        np.take(x.reshape(-1, x.shape[-1]), index, axis=0, out=y, mode="clip")
        given = x.shape

        def backward(d_y: Array) -> Array:
            if not views.input_gradient:
                return d_y
            d_x: Array = ctx.empty(given)
            d_x.fill(0)
            d_x.reshape(-1, given[-1])[index] = d_y
            return d_x

        return y, backward

    def _pixels(self, shape: Shape, ctx: PassContext) -> Pixels:
        """Which pixels of the batch the pieces are, by their number: `(batch, height, width)`."""
        batch, height, width = shape
        top, left = ctx.empty((2, batch, 1, 1), np.intp)
        for start, free in ((top, height - self.height), (left, width - self.width)):
            self._place(start, free, ctx)
        top += np.arange(0, batch * height, height)[:, None, None]
        top *= width
        top += left
        piece = np.arange(0, self.height * width, width)[:, None] + np.arange(self.width)
        return np.add(top, piece, out=ctx.empty((batch, self.height, self.width), np.intp))

    def _place(self, start: Pixels, free: int, ctx: PassContext) -> None:
        """Where the pieces begin on an axis with so many pixels to spare, the middle unless it learns."""
        if ctx.rng is None or not ctx.training:
            start.fill(free // 2)
            return
        draws = ctx.empty(start.shape)
        ctx.rng.random(out=draws, dtype=draws.dtype.type)
        draws *= free + 1
        np.copyto(start, draws, casting="unsafe")


@dataclass(frozen=True, kw_only=True, slots=True)
class RandomErasing:
    """Hides a chance rectangle of each picture while training (Zhong et al. 2020, alg. 1; DeVries & Taylor 2017).

    `(batch, height, width, channels)` in, the same shape out; a prediction passes unchanged.
    """

    type: Literal["random_erasing"] = "random_erasing"
    factor: Share = 1.0
    """The chance that a picture loses one."""
    scale: tuple[Share, Share] = (0.02, 0.33)
    """How much of the picture it covers: a share between these two."""
    ratio: tuple[Ratio, Ratio] = (0.3, 3.3)
    """Its height by its width: a number between these two, by their logarithms; its sides are the picture's at most."""
    fill_value: float = 0.0
    """What stands there instead."""

    def plan(self, shape: Shape) -> Plan:
        """No weights."""
        sides = checked(shape, ("height", "width"))[:2]
        return Plan(shape, activation_size=size(shape) + 2 * size(sides) + 2 * sum(sides) + 6, divisible=False)

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """`fill_value` where the rectangle is, x elsewhere; `∂x` is 0 where it is, `∂y` elsewhere."""
        if ctx.rng is None or not ctx.training:
            return x, lambda d_y: d_y
        batch, height, width, _ = x.shape
        chance, area, ratio, top, left = draws = ctx.empty((5, batch, 1))
        ctx.rng.random(out=draws, dtype=x.dtype.type)
        heights, widths = self._sides(chance, area, ratio, height * width)
        np.minimum(heights, height, out=heights)
        np.minimum(widths, width, out=widths)
        rows, columns = outside(heights, top, height, ctx), outside(widths, left, width, ctx)
        kept = np.maximum(rows[:, :, None], columns[:, None, :], out=ctx.empty((batch, height, width)))
        hidden = np.equal(kept, 0, out=ctx.empty(kept.shape, np.bool_))[..., None]

        def backward(d_y: Array) -> Array:
            np.copyto(d_y, 0, where=hidden)
            return d_y

        y = ctx.empty(x.shape)
        np.copyto(y, x)
        np.copyto(y, self.fill_value, where=hidden)
        return y, backward

    def _sides(self, chance: Array, area: Array, ratio: Array, pixels: int) -> tuple[Array, Array]:
        """Heights `√(a · r)` and widths `√(a / r)` in whole pixels, 0 where nothing is lost; draws are overwritten."""
        (least, most), (low, wide) = self.scale, self.ratio
        area *= (most - least) * pixels
        area += least * pixels
        area *= np.less(chance, self.factor)
        ratio *= math.log(wide / low)
        ratio += math.log(low)
        np.exp(ratio, out=ratio)
        heights = np.multiply(area, ratio, out=chance)
        widths = np.divide(area, ratio, out=area)
        for sides in (heights, widths):
            np.rint(np.sqrt(sides, out=sides), out=sides)
        return heights, widths


Augmentation: TypeAlias = (
    RandomFlip | RandomTranslation | RandomZoom | RandomRotation | RandomCrop | RandomErasing | TimeMask | FrequencyMask
)
