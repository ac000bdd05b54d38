"""Connectionist temporal classification: a loss for label sequences that are not aligned with the steps."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from core.nn.arrays import Array, Mask, Shape
from core.nn.losses.base import BaseLoss, LossForward, Mismatch, Predicts, Targets
from core.nn.step.context import PassContext

BLANK = 0


class NoAlignment(ValueError):
    """Rows {rows} of a batch have more labels than steps; two equal labels in a row need a step between them."""

    def __init__(self, rows: list[int]) -> None:
        shown = ", ".join(map(str, rows[:10]))
        super().__init__(
            f"ctc: rows {shown} of a batch have more labels than steps to emit them (two equal labels in a row need "
            "a step between them): give them more steps or fewer labels, or set zero_infinity"
        )
        self.rows = rows


@dataclass(frozen=True, kw_only=True, slots=True)
class Ctc(BaseLoss):
    """`−log p(labels)`, where p sums over all alignments of the labels with the steps (Graves et al. 2006).

    Outputs are `(steps, classes)`; class 0 is the blank. The labels of a row are integers from 1, padded with 0. Link:
    the most probable class of each step, with repetitions merged and blanks removed.

    Every row has the same weight, whatever its number of labels; PyTorch's `mean` divides each row's loss by that
    number first.
    """

    type: Literal["ctc"] = "ctc"
    zero_infinity: bool = False
    """Whether the loss of rows that have no alignment is 0; if not, such a row ends the training."""
    predicts: ClassVar[Predicts] = "labels"
    link_type: ClassVar[str] = "softmax"

    def mismatch(self, targets: Targets, output: Shape) -> Mismatch | None:
        """Return a mismatch unless the targets are integers from 1, padded with 0, and not more than the steps."""
        if len(output) != 2 or output[1] < 2:
            return Mismatch(f"emits {output}: ctc needs steps with one unit for the blank and one for each label")
        if targets.classes or not targets.integers or len(targets.shape) != 1 or targets.min < 0:
            return Mismatch("ctc needs the labels of each row as integers 1, 2, …", output=False)
        if targets.max >= output[1]:
            units = f"has {output[1]} units, for the blank and the labels 1 to {output[1] - 1}"
            return Mismatch(f"{units}, and the labels go up to {targets.max:g}")
        if targets.shape[0] > output[0]:
            labels = targets.shape[0]
            return Mismatch(f"emits {output[0]} steps, and a row has up to {labels} labels: give it more steps")
        return None

    def link(self, outputs: Array, mask: Mask | None = None) -> Any:
        """Return labels `(batch, steps)`: those of each row first, then 0. Masked steps have no label."""
        best = outputs.argmax(axis=-1)
        if mask is not None:
            best = _compact(best, mask)
        new = np.ones(best.shape, bool)
        new[:, 1:] = best[:, 1:] != best[:, :-1]
        return _compact(best, new & (best != BLANK))

    def encode(self, targets: Array, output_shape: Shape) -> Any:
        """Return labels `(rows, labels)`, those of each row first."""
        labels = targets.astype(np.intp)
        return _compact(labels, labels != BLANK)

    def scratch_bytes(self, batch: int, output_shape: Shape, targets: Targets) -> int:
        """Return the bytes of a batch, in numbers of 8 bytes.

        For each step there are the forward variables, three arrays of classes and three numbers; for all steps
        together, eight arrays of extended labels.
        """
        steps, classes = output_shape
        extended = 2 * targets.shape[0] + 1
        return 8 * batch * (steps * (extended + 3 * classes + 3) + 8 * extended)

    def forward(self, outputs: Array, targets: Any, ctx: PassContext) -> LossForward:
        """Return the weighted mean over the rows of outputs `(batch, steps, classes)` and labels `(batch, labels)`.

        The gradient of a step is `softmax(outputs) − p(class | labels)`. It is computed with logarithms in float64 by
        the forward-backward algorithm (section 4.1).

        Raises
        ------
        NoAlignment
            the labels of a row have no alignment with its steps, and `zero_infinity` is off.
        """
        batch, steps, _ = outputs.shape
        ctx.weights = ctx.sample_weight  # rows have weights, not steps
        mask = np.ones((batch, steps), bool) if ctx.mask is None else ctx.mask
        log_p = np.subtract(outputs, outputs.max(axis=2, keepdims=True), out=ctx.empty(outputs.shape, np.float64))
        softmax = np.exp(log_p, out=ctx.empty(outputs.shape, np.float64))
        total = softmax.sum(axis=2, keepdims=True)
        np.divide(softmax, total, out=softmax)
        np.subtract(log_p, np.log(total), out=log_p)
        alignments = _Alignments.of(targets, log_p, mask, ctx)
        log_likelihood = alignments.forward()
        aligned = ~np.isneginf(log_likelihood)  # NaN stays: it is not a lack of steps
        if not (aligned.all() or self.zero_infinity):
            raise NoAlignment(np.flatnonzero(~aligned).tolist())
        weights = np.ones(batch) if ctx.sample_weight is None else ctx.sample_weight.astype(np.float64)
        total_weight = float(weights.sum())
        factors = np.divide(weights, total_weight) if total_weight else np.zeros(batch)
        value = float(np.dot(factors, np.where(aligned, -log_likelihood, 0.0)))
        gradient: Array = ctx.empty(outputs.shape)

        def backward() -> Array:
            alignments.subtract_posteriors(softmax, log_likelihood)
            np.multiply(softmax, (factors * aligned)[:, None, None], out=softmax)
            np.multiply(softmax, mask[:, :, None], out=softmax)
            np.copyto(gradient, softmax, casting="same_kind")
            return gradient

        return value, backward


def _compact(classes: Any, kept: Any) -> Any:
    """Return `classes` `(batch, steps)` with the kept ones first in each row, in their order, then blanks."""
    order = np.argsort(~kept, axis=1, kind="stable")
    return np.take_along_axis(np.where(kept, classes, BLANK), order, axis=1)


@dataclass(slots=True)
class _Alignments:
    """The forward-backward algorithm over the extended labels: the labels with a blank before, between and after.

    There are `2 · labels + 1` extended labels. From one step to the next, an alignment stays at its extended label,
    moves to the next one, or skips a blank between two different labels.
    """

    log_p: Any
    """The log-probability of each class at each step `(batch, steps, classes)`."""
    classes: Any
    """The flat index into `log_p` of each extended label's class at the first step `(batch, extended)`."""
    skip: Any
    """0 where an alignment may skip to an extended label from two before it, else −∞ `(batch, extended − 2)`."""
    last: Any
    """The index of each row's last blank `(batch,)`."""
    mask: Any
    """The steps that are not padding `(batch, steps)`."""
    log_alpha: Any
    """The log-probability that the steps so far emit the labels so far `(steps, batch, extended)`."""
    scratch: Any
    """Four arrays `(batch, extended)`."""
    index: Any
    """The flat index into `log_p` of each extended label's class at the current step."""

    @staticmethod
    def of(labels: Any, log_p: Any, mask: Any, ctx: PassContext) -> "_Alignments":
        batch, steps, classes = log_p.shape
        shape = (batch, 2 * labels.shape[1] + 1)
        extended = ctx.empty(shape, np.intp)
        extended.fill(BLANK)
        extended[:, 1::2] = labels
        skip = ctx.empty((batch, max(shape[1] - 2, 0)), np.float64)
        skip.fill(-np.inf)
        skip[(extended[:, 2:] != BLANK) & (extended[:, 2:] != extended[:, :-2])] = 0
        extended += np.arange(0, log_p.size, steps * classes)[:, None]
        last = 2 * np.count_nonzero(labels != BLANK, axis=1)
        log_alpha, scratch = (ctx.empty((count, *shape), np.float64) for count in (steps, 4))
        return _Alignments(log_p, extended, skip, last, mask, log_alpha, scratch, ctx.empty(shape, np.intp))

    def forward(self) -> Any:
        """Fill `log_alpha`, and return the log-likelihood of each row's labels `(batch,)`."""
        before, emission, skipped, _ = self.scratch
        before.fill(-np.inf)
        before[:, 0] = 0
        skipped = skipped[:, 2:]
        for step, alpha in enumerate(self.log_alpha):
            np.logaddexp(before[:, 1:], before[:, :-1], out=alpha[:, 1:])
            alpha[:, 0] = before[:, 0]
            np.add(before[:, :-2], self.skip, out=skipped)
            np.logaddexp(alpha[:, 2:], skipped, out=alpha[:, 2:])
            np.add(alpha, self._emission(step, emission), out=alpha)
            np.copyto(alpha, before, where=~self.mask[:, step, None])
            before = alpha
        rows = np.arange(len(before))
        last_label = np.where(self.last > 0, before[rows, self.last - 1], -np.inf)
        return np.logaddexp(before[rows, self.last], last_label)

    def subtract_posteriors(self, softmax: Any, log_likelihood: Any) -> None:
        """Subtract `p(class | labels)` of each step from `softmax`, going backwards over the steps.

        `beta` is the log-probability that the later steps emit the later labels. `log_alpha` is overwritten.
        """
        rows, flat = np.arange(len(log_likelihood)), softmax.reshape(-1)
        beta, emission, skipped, earlier = self.scratch
        beta.fill(-np.inf)
        beta[rows, self.last] = 0
        beta[rows, np.maximum(self.last - 1, 0)] = 0
        skipped = skipped[:, 2:]
        finite = np.where(np.isneginf(log_likelihood), 0, log_likelihood)[:, None]
        for step in reversed(range(len(self.log_alpha))):
            posterior = self.log_alpha[step]
            emitted = np.add(beta, self._emission(step, emission), out=emission)
            np.add(posterior, beta, out=posterior)
            np.exp(np.subtract(posterior, finite, out=posterior), out=posterior)
            np.subtract.at(flat, self.index.reshape(-1), posterior.reshape(-1))
            np.logaddexp(emitted[:, :-1], emitted[:, 1:], out=earlier[:, :-1])
            earlier[:, -1] = emitted[:, -1]
            np.add(emitted[:, 2:], self.skip, out=skipped)
            np.logaddexp(earlier[:, :-2], skipped, out=earlier[:, :-2])
            np.copyto(beta, earlier, where=self.mask[:, step, None])

    def _emission(self, step: int, out: Any) -> Any:
        """Return the log-probability of each extended label's class at a step `(batch, extended)`."""
        np.add(self.classes, step * self.log_p.shape[2], out=self.index)
        return np.take(self.log_p, self.index, out=out, mode="clip")
