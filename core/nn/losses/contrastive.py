"""Losses for embeddings: rows of one class move together, rows of different classes apart.

Every row of a batch is compared with every other, so the loss depends on the batch: a larger batch has more pairs, and
accumulated batches have no pairs between them.
"""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

import numpy as np
from annotated_types import Gt

from core.nn.arrays import Array, Shape
from core.nn.losses.base import BaseLoss, LossForward, Mismatch, Predicts, Targets
from core.nn.step.context import PassContext

MAX_CLASS_NUMBER = 2**24
"""The largest class number: targets are float32, which cannot represent all larger integers."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PairwiseLoss(BaseLoss):
    """A loss for embeddings, computed from the distances of all pairs of rows in a batch.

    Its link is the identity: a prediction is the embedding.
    """

    margin: Annotated[float, Gt(0)] = 1.0
    predicts: ClassVar[Predicts] = "embeddings"

    def mismatch(self, targets: Targets, output: Shape) -> Mismatch | None:
        """Return a mismatch unless each row has one class, a name or an integer, and one output vector."""
        if len(output) != 1:
            return Mismatch(f"emits {output}: {self.type} needs one vector for each row: end with flatten or "
                          "global_average_pooling1d")  # fmt: skip
        if not targets.classes and not (targets.integers and targets.shape == (1,)):
            wanted = f"{self.type} needs the class of each row, a name or an integer"
            return Mismatch(f"{wanted}: use mean_squared_error for numbers", output=False)
        if not targets.classes and not targets.within(-MAX_CLASS_NUMBER, MAX_CLASS_NUMBER):
            return Mismatch(
                f"{self.type} takes class numbers up to {MAX_CLASS_NUMBER:,}: use class names", output=False
            )
        return None

    def encode(self, targets: Array, output_shape: Shape) -> Any:
        """Return the class number of each row `(rows,)`."""
        return targets.reshape(len(targets)).astype(np.intp)

    def scratch_bytes(self, batch: int, output_shape: Shape, targets: Targets) -> int:
        """Return the bytes of a batch: 18 a pair, 3½ copies of the embeddings in float64, and 100 a row."""
        return batch * (18 * batch + 28 * output_shape[0] + 100)

    def forward(self, outputs: Array, targets: Any, ctx: PassContext) -> LossForward:
        """Return the loss of embeddings `(batch, size)` by their classes `(batch,)`, computed in float64.

        The gradient of row i is `2 · Σ_j (q_ij + q_ji) · (e_i − e_j)`, where q_ij is the derivative of the loss with
        respect to the squared distance of rows i and j.
        """
        batch = len(outputs)
        embeddings = ctx.empty(outputs.shape, np.float64)
        np.copyto(embeddings, outputs)
        squares = _squared_distances(embeddings, ctx)
        same = np.equal(targets[:, None], targets, out=ctx.empty((batch, batch), bool))
        weights = ctx.empty((batch,), np.float64)
        weights.fill(1)
        if ctx.weights is not None:
            np.copyto(weights, ctx.weights)
        total = float(weights.sum())
        np.divide(weights, total or 1.0, out=weights)
        value, slopes = self.compare(squares, same, weights, ctx)
        gradient: Array = ctx.empty(outputs.shape)

        def backward() -> Array:
            q = slopes()
            both = np.add(q, q.T, out=squares)
            own = np.multiply(embeddings, both.sum(axis=1, keepdims=True), out=ctx.empty(outputs.shape, np.float64))
            others = np.matmul(both, embeddings, out=ctx.empty(outputs.shape, np.float64))
            np.subtract(own, others, out=own)
            np.multiply(own, 2, out=own)
            np.copyto(gradient, own, casting="same_kind")
            return gradient

        return value, backward

    @abstractmethod
    def compare(self, squares: Any, same: Any, weights: Any, ctx: PassContext) -> tuple[float, Callable[[], Any]]:
        """Return the loss, and a function that returns its derivatives with respect to the squared distances.

        `squares` `(batch, batch)` are the squared distances; the function may overwrite them. `same` says which pairs
        are of one class. `weights` `(batch,)` add up to 1, or are all 0.
        """


@dataclass(frozen=True, kw_only=True, slots=True)
class Contrastive(PairwiseLoss):
    """`d²` for rows of one class, `max(margin − d, 0)²` for others: the mean over all pairs. Link: identity.

    Hadsell, Chopra & LeCun 2006, eq. 4, without the factor 1/2. The weight of a pair is the product of its rows'
    weights. Each row also forms a pair with itself, so that a row of weight 2 counts as two rows.
    """

    type: Literal["contrastive"] = "contrastive"
    margin: Annotated[float, Gt(0)] = 1.0
    """The distance beyond which rows of different classes have no loss."""

    def compare(self, squares: Any, same: Any, weights: Any, ctx: PassContext) -> tuple[float, Callable[[], Any]]:
        """Return the loss; its derivative is `w` for a pair of one class, else `−w · max(margin − d, 0) / d`.

        w is the weight of the pair. At d = 0 the derivative is 0.
        """
        losses = np.sqrt(squares, out=ctx.empty(squares.shape, np.float64))
        np.subtract(self.margin, losses, out=losses)
        np.maximum(losses, 0, out=losses)
        np.multiply(losses, losses, out=losses)
        np.copyto(losses, squares, where=same)
        coincident = ctx.empty(squares.shape, bool)
        value = float(weights @ losses @ weights)

        def slopes() -> Any:
            q = losses
            distances = np.sqrt(squares, out=squares)
            np.subtract(self.margin, distances, out=q)
            np.maximum(q, 0, out=q)
            np.copyto(distances, -np.inf, where=np.equal(distances, 0, out=coincident))
            np.divide(q, np.negative(distances, out=distances), out=q)
            np.copyto(q, 1, where=same)
            np.multiply(q, weights, out=q)
            return np.multiply(q, weights[:, None], out=q)

        return value, slopes


@dataclass(frozen=True, kw_only=True, slots=True)
class Triplet(PairwiseLoss):
    """`max(margin + d₊ − d₋, 0)`, with d₊ to the farthest row of the class and d₋ to the nearest of another.

    The mean over the hardest triplet of each row in its batch (Hermans, Beyer & Leibe 2017, eq. 5). A row that is alone
    in its class has d₊ = 0; without another class in its batch, its loss is 0. Link: identity.
    """

    type: Literal["triplet"] = "triplet"
    margin: Annotated[float, Gt(0)] = 1.0
    """How much farther the nearest row of another class must be than the farthest of the same class."""

    def compare(self, squares: Any, same: Any, weights: Any, ctx: PassContext) -> tuple[float, Callable[[], Any]]:
        """Return the loss; its derivatives are `w / (2 · d₊)` for d₊² and `−w / (2 · d₋)` for d₋².

        w is the weight of the row. Where the row's loss is 0, or at d = 0, the derivatives are 0.
        """
        rows = np.arange(len(weights))
        counted = weights > 0
        candidates = ctx.empty(squares.shape, np.float64)
        excluded = ctx.empty(squares.shape, bool)
        np.copyto(candidates, squares)
        np.copyto(candidates, np.inf, where=np.logical_or(same, ~counted, out=excluded))
        nearest = candidates.argmin(axis=1)
        has_other = ~np.isposinf(candidates[rows, nearest])
        np.copyto(candidates, squares)
        np.copyto(candidates, -1, where=np.logical_not(np.logical_and(same, counted, out=excluded), out=excluded))
        farthest = candidates.argmax(axis=1)
        to_own, to_other = np.sqrt(squares[rows, farthest]), np.sqrt(squares[rows, nearest])
        losses = np.where(has_other, np.maximum(self.margin + to_own - to_other, 0), 0)
        active = np.where(losses > 0, weights, 0)

        def slopes() -> Any:
            candidates.fill(0)
            candidates[rows, farthest] = _half_ratio(active, to_own)
            candidates[rows, nearest] -= _half_ratio(active, to_other)
            return candidates

        return float(losses @ weights), slopes


def _squared_distances(embeddings: Any, ctx: PassContext) -> Any:
    """Return `|a − b|²` of all pairs `(batch, batch)` as `|a|² + |b|² − 2ab`; exactly 0 on the diagonal."""
    batch = len(embeddings)
    squares = np.matmul(embeddings, embeddings.T, out=ctx.empty((batch, batch), np.float64))
    norms = squares.diagonal().copy()
    np.multiply(squares, -2, out=squares)
    np.add(squares, norms, out=squares)
    np.add(squares, norms[:, None], out=squares)
    np.maximum(squares, 0, out=squares)
    np.fill_diagonal(squares, 0)
    return squares


def _half_ratio(weights: Any, distances: Any) -> Any:
    """Return `weights / (2 · distances)`, and 0 where the distance is 0."""
    return np.divide(weights, 2 * distances, out=np.zeros_like(weights), where=distances > 0)


PairwiseLosses: TypeAlias = Contrastive | Triplet
