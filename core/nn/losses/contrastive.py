"""Losses of embeddings: rows of one class shall lie close together, and those of others apart.

Every row of a batch is compared with every other, so the loss is one of the batch and not of its rows: more of them at
once make more pairs, and accumulated batches make none between them.
"""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

import numpy as np
from annotated_types import Gt

from core.nn.arrays import Array, Shape
from core.nn.losses.base import BaseLoss, Lost, Misfit, Predicts, Targets
from core.nn.step.context import PassContext

MOST_NUMBER = 2**24
"""Up to which float32 tells whole numbers apart, as which a target has them: two classes beyond it may become one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OfPairs(BaseLoss):
    """What every loss of embeddings says of itself; its link is the identity: an answer is the embedding."""

    margin: Annotated[float, Gt(0)] = 1.0
    predicts: ClassVar[Predicts] = "embeddings"

    def misfit(self, targets: Targets, output: Shape) -> Misfit | None:
        """Targets name the class of each row, or are whole numbers, equal for rows of one class; outputs are flat."""
        if len(output) != 1:
            return Misfit(f"emits {output}: {self.type} needs one vector for each row, as global_average_pooling1d "
                          "or flatten make it")  # fmt: skip
        if not targets.classes and not (targets.integers and targets.shape == (1,)):
            wanted = f"{self.type} needs the class of each row, a name or one whole number"
            return Misfit(f"{wanted}: use mean_squared_error for numbers", output=False)
        if not targets.classes and not targets.within(-MOST_NUMBER, MOST_NUMBER):
            return Misfit(f"{self.type} tells numbers apart up to {MOST_NUMBER:,}: call classes by names", output=False)
        return None

    def encode(self, targets: Array, output_shape: Shape) -> Any:
        """The number of each row's class `(rows,)`."""
        return targets.reshape(len(targets)).astype(np.intp)

    def scratch_bytes(self, batch: int, output_shape: Shape, targets: Targets) -> int:
        """The memory for a batch: two numbers and two flags a pair, each embedding 3½ times, and some numbers a row."""
        return batch * (18 * batch + 28 * output_shape[0] + 100)

    def forward(self, outputs: Array, targets: Any, ctx: PassContext) -> Lost:
        """The loss of embeddings `(batch, size)` by their classes `(batch,)`, computed in float64.

        The gradient of a row is what its distances to all others pull at it: `2 · Σ_j (q_ij + q_ji) · (e_i − e_j)`,
        where q_ij is the slope of the loss along the squared distance of a row i to a row j.
        """
        batch = len(outputs)
        embeddings = ctx.empty(outputs.shape, np.float64)
        np.copyto(embeddings, outputs)
        squares = _squared_distances(embeddings, ctx)
        alike = np.equal(targets[:, None], targets, out=ctx.empty((batch, batch), bool))
        weights = ctx.empty((batch,), np.float64)
        weights.fill(1)
        if ctx.weights is not None:
            np.copyto(weights, ctx.weights)
        total = float(weights.sum())
        np.divide(weights, total or 1.0, out=weights)
        value, slope = self.compare(squares, alike, weights, ctx)
        pulled: Array = ctx.empty(outputs.shape)

        def backward() -> Array:
            slopes = slope()
            both = np.add(slopes, slopes.T, out=squares)
            own = np.multiply(embeddings, both.sum(axis=1, keepdims=True), out=ctx.empty(outputs.shape, np.float64))
            others = np.matmul(both, embeddings, out=ctx.empty(outputs.shape, np.float64))
            np.subtract(own, others, out=own)
            np.multiply(own, 2, out=own)
            np.copyto(pulled, own, casting="same_kind")
            return pulled

        return value, backward

    @abstractmethod
    def compare(self, squares: Any, alike: Any, weights: Any, ctx: PassContext) -> tuple[float, Callable[[], Any]]:
        """The loss, and what gives its slopes along each squared distance `(batch, batch)`.

        `squares` are those distances, which the slopes may be written over; `alike` says which rows are of one class;
        `weights` `(batch,)` add up to one, or are all 0.
        """


@dataclass(frozen=True, kw_only=True, slots=True)
class Contrastive(OfPairs):
    """`d²` of two rows of one class, `max(margin − d, 0)²` of two others: the mean over all pairs. Link: none.

    After Hadsell, Chopra & LeCun 2006, eq. 4, without its factor of a half. A pair counts by the product of its rows'
    weights, and a row makes one with itself too, so that a row that weighs 2 counts as two rows.
    """

    type: Literal["contrastive"] = "contrastive"
    margin: Annotated[float, Gt(0)] = 1.0
    """How far apart rows of different classes shall be; beyond it they do not count."""

    def compare(self, squares: Any, alike: Any, weights: Any, ctx: PassContext) -> tuple[float, Callable[[], Any]]:
        """The slope of a pair is `w` where they are alike, else `−w · max(margin − d, 0) / d`, at d = 0 none."""
        far = np.sqrt(squares, out=ctx.empty(squares.shape, np.float64))
        lacks = np.subtract(self.margin, far, out=far)
        np.maximum(lacks, 0, out=lacks)
        np.multiply(lacks, lacks, out=lacks)
        np.copyto(lacks, squares, where=alike)
        together = ctx.empty(squares.shape, bool)
        value = float(weights @ lacks @ weights)

        def slopes() -> Any:
            distances = np.sqrt(squares, out=squares)
            np.subtract(self.margin, distances, out=lacks)
            np.maximum(lacks, 0, out=lacks)
            np.copyto(distances, -np.inf, where=np.equal(distances, 0, out=together))
            np.divide(lacks, np.negative(distances, out=distances), out=lacks)
            np.copyto(lacks, 1, where=alike)
            np.multiply(lacks, weights, out=lacks)
            return np.multiply(lacks, weights[:, None], out=lacks)

        return value, slopes


@dataclass(frozen=True, kw_only=True, slots=True)
class Triplet(OfPairs):
    """`max(margin + d₊ − d₋, 0)`, the mean over the rows: d₊ to the farthest of its class, d₋ to the nearest other.

    The hardest triplet of each row in its batch (Hermans, Beyer & Leibe 2017, eq. 5). A row that is alone in its class
    has d₊ = 0; one without any other class in its batch loses 0. Link: none.
    """

    type: Literal["triplet"] = "triplet"
    margin: Annotated[float, Gt(0)] = 1.0
    """How much farther another class shall be than the own."""

    def compare(self, squares: Any, alike: Any, weights: Any, ctx: PassContext) -> tuple[float, Callable[[], Any]]:
        """Of a row that loses the slopes `w / (2 · d₊)` along d₊² and `−w / (2 · d₋)` along d₋²; at d = 0 none."""
        rows = np.arange(len(weights))
        there = weights > 0
        candidates = ctx.empty(squares.shape, np.float64)
        out = ctx.empty(squares.shape, bool)
        np.copyto(candidates, squares)
        np.copyto(candidates, np.inf, where=np.logical_or(alike, ~there, out=out))
        nearest = candidates.argmin(axis=1)
        opposed = ~np.isposinf(candidates[rows, nearest])
        np.copyto(candidates, squares)
        np.copyto(candidates, -1, where=np.logical_not(np.logical_and(alike, there, out=out), out=out))
        farthest = candidates.argmax(axis=1)
        to_own, to_other = np.sqrt(squares[rows, farthest]), np.sqrt(squares[rows, nearest])
        lost = np.where(opposed, np.maximum(self.margin + to_own - to_other, 0), 0)
        shares = np.where(lost > 0, weights, 0)

        def slopes() -> Any:
            candidates.fill(0)
            candidates[rows, farthest] = _halved(shares, to_own)
            candidates[rows, nearest] -= _halved(shares, to_other)
            return candidates

        return float(lost @ weights), slopes


def _squared_distances(embeddings: Any, ctx: PassContext) -> Any:
    """`|a − b|²` of all pairs `(batch, batch)`, by `|a|² + |b|² − 2ab`; of a row to itself exactly 0."""
    batch = len(embeddings)
    squares = np.matmul(embeddings, embeddings.T, out=ctx.empty((batch, batch), np.float64))
    norms = squares.diagonal().copy()
    np.multiply(squares, -2, out=squares)
    np.add(squares, norms, out=squares)
    np.add(squares, norms[:, None], out=squares)
    np.maximum(squares, 0, out=squares)
    np.fill_diagonal(squares, 0)
    return squares


def _halved(shares: Any, distances: Any) -> Any:
    """`shares / (2 · distances)`, and 0 where the distance is."""
    return np.divide(shares, 2 * distances, out=np.zeros_like(shares), where=distances > 0)


OfAnyPair: TypeAlias = Contrastive | Triplet
