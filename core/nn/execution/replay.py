"""A pass through layers, recorded once and played from then on: the calls of NumPy that it comes down to.

Between two calls there is Python: a layer finds its weights, cuts its arrays, asks for memory. That is half of the time
of a small net, and all of it comes to the same at the next batch of as many rows, whose arrays are in the same memory.
A recorded pass is those calls alone, and gives the same numbers to the last bit. (On a GPU a CUDA graph is the like.)

What decides by numbers or draws some cannot be played, such as an embedding, which refuses what it does not know, or a
dropout. It is noticed while recording, and a net with one is passed through each time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from operator import getitem, setitem
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike

from core.nn.arrays import Array, Shape
from core.nn.execution.traced_arrays import TracedArray, plain, traced_views, watched
from core.nn.plan import Views
from core.nn.step.context import PassContext

_CHANGES_NOTHING = frozenset(
    {
        *(np.atleast_2d, np.broadcast_to, np.expand_dims, np.moveaxis, np.split, np.swapaxes, np.transpose),  # views
        *(np.empty_like, np.ndim, np.shape, np.size),
    }
)
_WRITES_INTO_FIRST = (np.copyto, setitem)
_MAKES_NEW = (np.dot, getitem)
"""What is no ufunc, and can be had again into the array that came of it."""
_OUT_BY_NAME = frozenset({np.maximum, np.minimum})
"""Where NumPy does not want it by position any more."""
_REDUCTIONS = (np.add.reduce, np.maximum.reduce)
"""Which the layers call so often that their arguments go by position."""

MOST_CALLS = 1 << 12
"""A call with its views of arrays takes 1 KB, and a long sequence makes many of them."""
MOST_COPIED = 1 << 16
"""Bytes of inputs up to which they are copied to where the recorded calls find them: of a larger batch the time between
the calls is a small part, and the copy would be a large one of its memory.
"""


class Recorder:
    """Writes down each call, as long as to make them all again does again all that was done.

    Then it is `whole`; it is not any more once a number went into Python, where it may have decided something, or came
    from there, or was written where the next pass would find it.
    """

    def __init__(self) -> None:
        self.calls: list[Callable[[], object]] = []
        self.whole = True

    def saw(self, function: Callable[..., Any], args: Any, named: Mapping[str, Any], result: Any) -> None:
        """Write the call down."""
        if function in _CHANGES_NOTHING or not self.whole:
            return
        out = args[0] if function in _WRITES_INTO_FIRST else named.get("out")
        if out is None and isinstance(result, np.ndarray) and (_is_ufunc(function) or function in _MAKES_NEW):
            out = result  # memory that is kept for the next pass
        elif not isinstance(out, TracedArray):
            self.missed()
            return
        if len(self.calls) == MOST_CALLS:
            self.missed()
            return
        self.calls.append(_call(function, plain(args), plain(named), plain(out)))

    def missed(self) -> None:
        """Something was done that no call does again."""
        self.whole = False
        self.calls.clear()


def _is_ufunc(function: Any) -> bool:
    return isinstance(getattr(function, "__self__", function), np.ufunc)


def _call(function: Any, args: Any, named: Mapping[str, Any], out: Any) -> partial[Any]:
    """The call in the form that takes least time: names of arguments cost 0.15 µs, and a number of Python's 0.3."""
    others = {name: value for name, value in named.items() if name != "out"}
    if function in _WRITES_INTO_FIRST:
        plainly = function is np.copyto and len(args) == 2 and not others
        return partial(setitem, args[0], ..., args[1]) if plainly else partial(function, *args, **others)
    if function in _MAKES_NEW:
        return partial(args[0].dot, args[1], out) if function is np.dot else partial(_fetch, args[0], args[1], out)
    if isinstance(function, np.ufunc):
        args = _numbers_as_arrays(args)
        if not others and function not in _OUT_BY_NAME:
            return partial(function, *args, out)
    if function in _REDUCTIONS and len(args) == 1 and others.keys() <= {"axis", "keepdims"}:
        return partial(function, args[0], others.get("axis", 0), None, out, others.get("keepdims", False))
    return partial(function, *args, **others, out=out)


def _numbers_as_arrays(args: Any) -> Any:
    """Numbers of Python's beside floating-point arrays become arrays of the same kind, as NumPy makes of them."""
    kinds = {one.dtype for one in args if isinstance(one, np.ndarray)}
    if len(kinds) > 1 or any(kind.kind != "f" for kind in kinds):
        return args
    return [np.asarray(one, *kinds) if isinstance(one, int | float) else one for one in args]


def _fetch(array: Array, key: Any, out: Array) -> None:
    out[...] = array[key]


class _WatchedChance:
    """A source of chance that is watched: what it draws now is not what the next pass has to have."""

    def __init__(self, rng: np.random.Generator, recorder: Recorder) -> None:
        self._rng, self._recorder = rng, recorder

    def __getattr__(self, name: str) -> Any:
        self._recorder.missed()
        return getattr(self._rng, name)


Repeatable: TypeAlias = Callable[..., Any]
"""From arrays, views and a run to other arrays: passes through a network."""


class TracingContext(PassContext):
    """The context of a pass that is recorded: the arrays it allocates are traced, and so are its random numbers."""

    __slots__ = ("_recorder",)

    def __init__(self, ctx: PassContext, recorder: Recorder) -> None:
        super().__init__(ctx.dtype, training=ctx.training, shapes=ctx.shapes, names=ctx.names)
        self._recorder = recorder
        if ctx.rng is not None:
            self.rng = _WatchedChance(ctx.rng, recorder)  # type: ignore[assignment]  # it has all methods of one

    def empty(self, shape: Shape, dtype: DTypeLike | None = None) -> Any:
        """Return a traced array of `shape` with arbitrary content."""
        return watched(super().empty(shape, dtype), self._recorder)


class Recording:
    """The NumPy calls of passes over inputs of given shapes, on arrays that the recording keeps.

    `ready` says whether they can be replayed; `result` is that of the last replay, and is overwritten by the next.
    """

    def __init__(self, passes: Repeatable, inputs: tuple[Array, ...], views: Views, ctx: PassContext) -> None:
        """Run `passes(*inputs, views, ctx)` and record its calls."""
        self.ready = False
        if sum(one.nbytes for one in inputs) > MOST_COPIED or ctx.sample_weight is not None:
            self.result = passes(*inputs, views, ctx)
            return
        self._inputs = tuple(one.copy() for one in inputs)
        recorder = Recorder()
        tracing = TracingContext(ctx, recorder)
        arrays = [watched(one, recorder) for one in self._inputs]
        self.result = plain(passes(*arrays, traced_views(views, recorder), tracing))
        self._mask, self._weights = ctx.mask, ctx.weights = plain(tracing.mask), plain(tracing.weights)
        self._calls, self.ready = recorder.calls, recorder.whole

    def play(self, inputs: tuple[Array, ...], ctx: PassContext) -> Any:
        """Replay the calls on other inputs of the same shapes, with the views' current content; return the result."""
        for own, given in zip(self._inputs, inputs, strict=True):
            own[...] = given
        for call in self._calls:
            call()
        ctx.mask, ctx.weights = self._mask, self._weights
        return self.result


Shapes: TypeAlias = tuple[Shape, ...]


class Replayer:
    """Passes that run at every step: recorded at the second step with inputs of given shapes, then replayed.

    Passes that cannot be replayed run as they are each time, and so do all unless `record`.
    """

    def __init__(self, passes: Repeatable, views: Views, *, record: bool = True) -> None:
        self._passes, self._views, self._record = passes, views, record
        self._begun: set[Shapes] = set()
        self.recordings: dict[Shapes, Recording] = {}

    def __call__(self, ctx: PassContext, *inputs: Array) -> Any:
        """What the passes give for these inputs."""
        shapes = tuple([one.shape for one in inputs])
        recording = self.recordings.get(shapes)
        if recording and recording.ready:
            return recording.play(inputs, ctx)
        if self._record and recording is None and shapes in self._begun:
            recording = self.recordings[shapes] = Recording(self._passes, inputs, self._views, ctx)
            return recording.result
        self._begun.add(shapes)
        return self._passes(*inputs, self._views, ctx)
