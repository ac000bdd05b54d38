"""A loss of sequences whose labels are fewer than their steps, where nobody knows which steps belong to which label."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from core.nn.arrays import Array, Mask, Shape
from core.nn.losses.base import BaseLoss, Lost, Misfit, Predicts, Targets
from core.nn.step.context import PassContext

BLANK = 0


class NoAlignment(ValueError):
    """Rows {rows} of a batch have more labels than their steps can say; two equal ones need a step between them."""

    def __init__(self, rows: list[int]) -> None:
        shown = ", ".join(map(str, rows[:10]))
        super().__init__(
            f"ctc: rows {shown} of a batch have more labels than steps to say them in (two equal ones need a step "
            "between them): give them more steps or fewer labels, or let zero_infinity leave them out"
        )
        self.rows = rows


@dataclass(frozen=True, kw_only=True, slots=True)
class Ctc(BaseLoss):
    """`−log p(labels)`, where p sums over every way to say them in the steps that there are (Graves et al. 2006).

    Outputs are `(steps, classes)`; class 0 is the blank, which says nothing. The labels of a row are whole numbers from
    1, and what is 0 fills up. Link: the likeliest class of each step, repeats said once and blanks left out.

    Each row counts alike, however many labels it has; PyTorch's `mean` divides each by its number of labels first.
    """

    type: Literal["ctc"] = "ctc"
    zero_infinity: bool = False
    """Whether rows whose labels cannot be said in their steps count 0, instead of ending the training."""
    predicts: ClassVar[Predicts] = "labels"
    applies: ClassVar[str] = "softmax"

    def misfit(self, targets: Targets, output: Shape) -> Misfit | None:
        """Targets are whole numbers from 1, as many as there are steps at most, and 0 where there are no more."""
        if len(output) != 2 or output[1] < 2:
            return Misfit(f"emits {output}: ctc needs steps with one unit for the blank and one for each label")
        if targets.classes or not targets.integers or len(targets.shape) != 1 or targets.least < 0:
            return Misfit("ctc needs the labels of each row as whole numbers 1, 2, …", output=False)
        if targets.most >= output[1]:
            return Misfit(f"has {output[1]} units, for the blank and the labels 1 to {output[1] - 1}, and the labels "
                          f"go to {targets.most:g}")  # fmt: skip
        if targets.shape[0] > output[0]:
            labels = targets.shape[0]
            return Misfit(f"emits {output[0]} steps, and a row has up to {labels} labels: give it more steps")
        return None

    def link(self, outputs: Array, mask: Mask | None = None) -> Any:
        """Labels `(batch, steps)`, the first ones of each row, then 0; what the mask hides says nothing."""
        best = outputs.argmax(axis=-1)
        if mask is not None:
            best = _first(best, mask)
        new = np.ones(best.shape, bool)
        new[:, 1:] = best[:, 1:] != best[:, :-1]
        return _first(best, new & (best != BLANK))

    def encode(self, targets: Array, output_shape: Shape) -> Any:
        """Labels `(rows, labels)`, those of each row first."""
        labels = targets.astype(np.intp)
        return _first(labels, labels != BLANK)

    def scratch_bytes(self, batch: int, output_shape: Shape, targets: Targets) -> int:
        """The memory for a batch: at each step its classes three times over and the places of its labels once.

        To that come three numbers a step, and eight of each place that all steps share.
        """
        steps, classes = output_shape
        places = 2 * targets.shape[0] + 1
        return 8 * batch * (steps * (places + 3 * classes + 3) + 8 * places)

    def forward(self, outputs: Array, targets: Any, ctx: PassContext) -> Lost:
        """The mean over the rows, by their weights, of outputs `(batch, steps, classes)` and labels `(batch, labels)`.

        The gradient of each step is `softmax(outputs) − how likely it says each class, given the labels`. Computed with
        logarithms in float64, forwards and backwards over the steps (section 4.1).

        Raises
        ------
        NoAlignment
            the labels of a row cannot be said in its steps, and `zero_infinity` is off.
        """
        batch, steps, _ = outputs.shape
        ctx.weights = ctx.sample_weight  # rows count, not steps
        there = np.ones((batch, steps), bool) if ctx.mask is None else ctx.mask
        log_p = np.subtract(outputs, outputs.max(axis=2, keepdims=True), out=ctx.empty(outputs.shape, np.float64))
        softmax = np.exp(log_p, out=ctx.empty(outputs.shape, np.float64))
        total = softmax.sum(axis=2, keepdims=True)
        np.divide(softmax, total, out=softmax)
        np.subtract(log_p, np.log(total), out=log_p)
        lattice = _Lattice.of(targets, log_p, there, ctx)
        likely = lattice.ahead()
        possible = ~np.isneginf(likely)  # what is no number any more is no matter of steps
        if not (possible.all() or self.zero_infinity):
            raise NoAlignment(np.flatnonzero(~possible).tolist())
        weights = np.ones(batch) if ctx.sample_weight is None else ctx.sample_weight.astype(np.float64)
        counted = float(weights.sum())
        share = np.divide(weights, counted) if counted else np.zeros(batch)
        value = float(np.dot(share, np.where(possible, -likely, 0.0)))
        slope: Array = ctx.empty(outputs.shape)

        def backward() -> Array:
            lattice.take_off(softmax, likely)
            np.multiply(softmax, (share * possible)[:, None, None], out=softmax)
            np.multiply(softmax, there[:, :, None], out=softmax)
            np.copyto(slope, softmax, casting="same_kind")
            return slope

        return value, backward


def _first(classes: Any, kept: Any) -> Any:
    """Those that are kept, in their order, at the beginning of each row `(batch, steps)`, then blanks."""
    order = np.argsort(~kept, axis=1, kind="stable")
    return np.take_along_axis(np.where(kept, classes, BLANK), order, axis=1)


@dataclass(slots=True)
class _Lattice:
    """Every way to say the labels, with a blank before, between and after them: `2 · labels + 1` places in a row.

    A step stays at its place or goes on to the next, or past a blank to a label that is another one than before.
    """

    log_p: Any
    """The logarithm of how likely each step says each class `(batch, steps, classes)`."""
    classes: Any
    """Where the class of each place stands in the first step of a flat `log_p` `(batch, places)`."""
    barred: Any
    """0 where a step may come from two places before, else −∞ `(batch, places − 2)`."""
    last: Any
    """The place of each row's last blank `(batch,)`."""
    there: Any
    """Which steps are there `(batch, steps)`."""
    reached: Any
    """The logarithm of how likely the labels up to a place are said by the steps up to one `(steps, batch, places)`."""
    scratch: Any
    """Four arrays `(batch, places)`."""
    at: Any
    """As `classes`, in the step whose turn it is."""

    @staticmethod
    def of(labels: Any, log_p: Any, there: Any, ctx: PassContext) -> "_Lattice":
        batch, steps, classes = log_p.shape
        shape = (batch, 2 * labels.shape[1] + 1)
        places = ctx.empty(shape, np.intp)
        places.fill(BLANK)
        places[:, 1::2] = labels
        barred = ctx.empty((batch, max(shape[1] - 2, 0)), np.float64)
        barred.fill(-np.inf)
        barred[(places[:, 2:] != BLANK) & (places[:, 2:] != places[:, :-2])] = 0
        places += np.arange(0, log_p.size, steps * classes)[:, None]
        last = 2 * np.count_nonzero(labels != BLANK, axis=1)
        reached, scratch = (ctx.empty((count, *shape), np.float64) for count in (steps, 4))
        return _Lattice(log_p, places, barred, last, there, reached, scratch, ctx.empty(shape, np.intp))

    def ahead(self) -> Any:
        """Go forwards over the steps; the logarithm of how likely each row's labels are `(batch,)`."""
        now, said, past, _ = self.scratch
        now.fill(-np.inf)
        now[:, 0] = 0
        past = past[:, 2:]
        for step, reached in enumerate(self.reached):
            np.logaddexp(now[:, 1:], now[:, :-1], out=reached[:, 1:])
            reached[:, 0] = now[:, 0]
            np.add(now[:, :-2], self.barred, out=past)
            np.logaddexp(reached[:, 2:], past, out=reached[:, 2:])
            np.add(reached, self._said(step, said), out=reached)
            np.copyto(reached, now, where=~self.there[:, step, None])
            now = reached
        rows = np.arange(len(now))
        before = np.where(self.last > 0, now[rows, self.last - 1], -np.inf)
        return np.logaddexp(now[rows, self.last], before)

    def take_off(self, softmax: Any, likely: Any) -> None:
        """Go backwards, and take off `softmax` how likely each step says each class, given the labels."""
        rows, flat = np.arange(len(likely)), softmax.reshape(-1)
        ahead, said, past, back = self.scratch
        ahead.fill(-np.inf)
        ahead[rows, self.last] = 0
        ahead[rows, np.maximum(self.last - 1, 0)] = 0
        past = past[:, 2:]
        least = np.where(np.isneginf(likely), 0, likely)[:, None]
        for step in reversed(range(len(self.reached))):
            reached = self.reached[step]
            now = np.add(ahead, self._said(step, said), out=said)
            np.add(reached, ahead, out=reached)
            np.exp(np.subtract(reached, least, out=reached), out=reached)
            np.subtract.at(flat, self.at.reshape(-1), reached.reshape(-1))
            np.logaddexp(now[:, :-1], now[:, 1:], out=back[:, :-1])
            back[:, -1] = now[:, -1]
            np.add(now[:, 2:], self.barred, out=past)
            np.logaddexp(back[:, :-2], past, out=back[:, :-2])
            np.copyto(ahead, back, where=self.there[:, step, None])

    def _said(self, step: int, out: Any) -> Any:
        """The logarithm of how likely a step says the class of each place `(batch, places)`."""
        np.add(self.classes, step * self.log_p.shape[2], out=self.at)
        return np.take(self.log_p, self.at, out=out, mode="clip")
