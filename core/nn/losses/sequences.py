"""A loss of sequences whose labels are fewer than their steps, where nobody knows which steps belong to which label."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from core.nn.arena import Run
from core.nn.arrays import Array, Mask, Shape
from core.nn.losses.kind import Lost, Misfit, Predicts, Targets

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
class Ctc:
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

    def classes(self, output: Shape) -> None:
        """No target of one class for each step."""

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

    def forward(self, outputs: Array, targets: Any, run: Run) -> Lost:
        """The mean over the rows, by their weights, of outputs `(batch, steps, classes)` and labels `(batch, labels)`.

        The gradient of each step is `softmax(outputs) − how likely it says each class, given the labels`. Computed with
        logarithms in float64, forwards and backwards over the steps (section 4.1).

        Raises
        ------
        NoAlignment
            the labels of a row cannot be said in its steps, and `zero_infinity` is off.
        """
        batch, steps, _ = outputs.shape
        run.weights = run.sample_weight  # rows count, not steps
        there = np.ones((batch, steps), bool) if run.mask is None else run.mask
        shifted = np.subtract(outputs, outputs.max(axis=2, keepdims=True), out=run.empty(outputs.shape, np.float64))
        shifted -= np.log(np.exp(shifted, out=run.empty(shifted.shape, np.float64)).sum(axis=2, keepdims=True))
        lattice = _Lattice.of(targets, shifted, there, run)
        log_p = lattice.ahead()
        possible = ~np.isneginf(log_p)  # what is no number any more is no matter of steps
        if not (possible.all() or self.zero_infinity):
            raise NoAlignment(np.flatnonzero(~possible).tolist())
        weights = np.ones(batch) if run.sample_weight is None else run.sample_weight.astype(np.float64)
        total = float(weights.sum())
        share = np.divide(weights, total) if total else np.zeros(batch)
        value = float(np.dot(share, np.where(possible, -log_p, 0.0)))

        def backward() -> Array:
            said = lattice.said(log_p)
            gradient = np.exp(shifted, out=shifted)
            gradient -= said
            gradient *= (share * possible)[:, None, None] * there[:, :, None]
            slope: Array = run.empty(outputs.shape)
            np.copyto(slope, gradient, casting="same_kind")
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

    places: Any
    """The class of each place `(batch, places)`."""
    skips: Any
    """Whether a step may come here from two places before `(batch, places)`."""
    last: Any
    """The place of each row's last blank `(batch,)`."""
    emitted: Any
    """The logarithm of how likely each step says the class of each place `(steps, batch, places)`."""
    there: Any
    """Which steps are there `(batch, steps)`."""
    reached: Any
    """The logarithm of how likely the labels up to a place are said by the steps up to one `(steps, batch, places)`."""
    classes: int

    @staticmethod
    def of(labels: Any, log_p: Any, there: Any, run: Run) -> "_Lattice":
        batch, steps, classes = log_p.shape
        places = np.zeros((batch, 2 * labels.shape[1] + 1), np.intp)
        places[:, 1::2] = labels
        skips = np.zeros(places.shape, bool)
        skips[:, 2:] = (places[:, 2:] != BLANK) & (places[:, 2:] != places[:, :-2])
        shape = (steps, *places.shape)
        emitted = run.empty(shape, np.float64)
        emitted[...] = np.take_along_axis(log_p, places[:, None, :], axis=2).swapaxes(0, 1)
        last = 2 * np.count_nonzero(labels != BLANK, axis=1)
        return _Lattice(places, skips, last, emitted, there, run.empty(shape, np.float64), classes)

    def ahead(self) -> Any:
        """Go forwards over the steps; the logarithm of how likely each row's labels are `(batch,)`."""
        now = np.full(self.places.shape, -np.inf)
        now[:, 0] = 0
        for step, (emitted, reached) in enumerate(zip(self.emitted, self.reached, strict=True)):
            onward = now.copy()
            np.logaddexp(onward[:, 1:], now[:, :-1], out=onward[:, 1:])
            np.logaddexp(onward[:, 2:], np.where(self.skips[:, 2:], now[:, :-2], -np.inf), out=onward[:, 2:])
            onward += emitted
            now = np.where(self.there[:, step, None], onward, now)
            reached[...] = now
        rows = np.arange(len(now))
        before = np.where(self.last > 0, now[rows, self.last - 1], -np.inf)
        return np.logaddexp(now[rows, self.last], before)

    def said(self, log_p: Any) -> Any:
        """Go backwards: how likely each step says each class, given the labels `(batch, steps, classes)`."""
        rows = np.arange(len(log_p))
        ahead = np.full(self.places.shape, -np.inf)
        ahead[rows, self.last] = 0
        ahead[rows, np.maximum(self.last - 1, 0)] = 0
        least = np.where(log_p > -np.inf, log_p, 0)[:, None]
        for step in reversed(range(len(self.reached))):
            reached, emitted = self.reached[step], self.emitted[step]
            now = ahead + emitted
            back = now.copy()
            np.logaddexp(back[:, :-1], now[:, 1:], out=back[:, :-1])
            np.logaddexp(back[:, :-2], np.where(self.skips[:, 2:], now[:, 2:], -np.inf), out=back[:, :-2])
            reached += ahead - least
            ahead = np.where(self.there[:, step, None], back, ahead)
        likely = np.exp(self.reached, out=self.reached).swapaxes(0, 1)
        return likely @ (self.places[:, :, None] == np.arange(self.classes)).astype(np.float64)
