"""Replay of a pass through layers: its NumPy calls, recorded once, without the Python between them.

Between two calls a layer looks up its weights, slices arrays and allocates memory. That is half of the time of a small
network, and the same for every batch of as many rows. A replay makes only the calls, on the same arrays, and gives the
same numbers to the last bit. (A CUDA graph does the same on a GPU.)

A pass that decides by numbers or draws random ones cannot be replayed, such as an embedding, which refuses unknown
indices, or dropout. The recorder notices, and such a network runs as it is each time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from operator import getitem, setitem
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike

from core.nn.arrays import Array, Shape
from core.nn.execution.traced_arrays import TracedArray, trace, trace_views, untrace
from core.nn.plan import Views
from core.nn.step.context import PassContext

MAX_CALLS = 1 << 12
"""Calls that a recording keeps at most: each takes 1 KB with its views of arrays, and a long sequence makes many."""
MAX_COPIED_BYTES = 1 << 16
"""Bytes of inputs up to which a pass is recorded, since a replay copies them to the arrays of the recording."""

_PURE = frozenset(
    {
        *(np.atleast_2d, np.broadcast_to, np.expand_dims, np.moveaxis, np.split, np.swapaxes, np.transpose),  # views
        *(np.empty_like, np.ndim, np.shape, np.size),
    }
)
"""Functions that need no replay: they compute no numbers."""
_WRITE_TO_FIRST = (np.copyto, setitem)
_ALLOCATE = (np.dot, getitem)
"""Functions that are no ufuncs, whose result can be computed into the same array again."""
_OUT_BY_NAME = frozenset({np.maximum, np.minimum})
"""Ufuncs that take `out` only by name."""
_REDUCTIONS = (np.add.reduce, np.maximum.reduce)
"""Reductions that layers call so often that their arguments go by position."""


class Recorder:
    """A tracer that collects calls, as long as repeating them repeats all that was done.

    `complete` becomes false once a number went into Python, where it may have decided something, or came from there, or
    was written where the next pass would find it.
    """

    def __init__(self) -> None:
        self.calls: list[Callable[[], object]] = []
        self.complete = True

    def record(self, function: Callable[..., Any], args: Any, kwargs: Mapping[str, Any], result: Any) -> None:
        """Add a call."""
        if function in _PURE or not self.complete:
            return
        out = args[0] if function in _WRITE_TO_FIRST else kwargs.get("out")
        if out is None and isinstance(result, np.ndarray) and (_is_ufunc(function) or function in _ALLOCATE):
            out = result  # kept by the recording
        elif not isinstance(out, TracedArray):
            self.graph_break()
            return
        if len(self.calls) == MAX_CALLS:
            self.graph_break()
            return
        self.calls.append(_replayable(function, untrace(args), untrace(kwargs), untrace(out)))

    def graph_break(self) -> None:
        """Give up: something was done that no call repeats."""
        self.complete = False
        self.calls.clear()


def _is_ufunc(function: Any) -> bool:
    return isinstance(getattr(function, "__self__", function), np.ufunc)


def _replayable(function: Any, args: Any, kwargs: Mapping[str, Any], out: Any) -> partial[Any]:
    """Return the call in its fastest form: an argument by name costs 0.15 µs, and a Python number 0.3."""
    others = {name: value for name, value in kwargs.items() if name != "out"}
    if function in _WRITE_TO_FIRST:
        plain_copy = function is np.copyto and len(args) == 2 and not others
        return partial(setitem, args[0], ..., args[1]) if plain_copy else partial(function, *args, **others)
    if function in _ALLOCATE:
        return partial(args[0].dot, args[1], out) if function is np.dot else partial(_copy_item, args[0], args[1], out)
    if isinstance(function, np.ufunc):
        args = _numbers_as_arrays(args)
        if not others and function not in _OUT_BY_NAME:
            return partial(function, *args, out)
    if function in _REDUCTIONS and len(args) == 1 and others.keys() <= {"axis", "keepdims"}:
        return partial(function, args[0], others.get("axis", 0), None, out, others.get("keepdims", False))
    return partial(function, *args, **others, out=out)


def _numbers_as_arrays(args: Any) -> Any:
    """Turn Python numbers beside floating-point arrays into arrays of their dtype, as NumPy would at each call."""
    dtypes = {one.dtype for one in args if isinstance(one, np.ndarray)}
    if len(dtypes) > 1 or any(dtype.kind != "f" for dtype in dtypes):
        return args
    return [np.asarray(one, *dtypes) if isinstance(one, int | float) else one for one in args]


def _copy_item(array: Array, key: Any, out: Array) -> None:
    out[...] = array[key]


class _TracedGenerator:
    """A random generator whose use breaks the trace: the next pass must draw other numbers."""

    def __init__(self, rng: np.random.Generator, recorder: Recorder) -> None:
        self._rng, self._recorder = rng, recorder

    def __getattr__(self, name: str) -> Any:
        self._recorder.graph_break()
        return getattr(self._rng, name)


class TracingContext(PassContext):
    """The context of a pass that is recorded: the arrays it allocates are traced, and so is its random generator."""

    __slots__ = ("_recorder",)

    def __init__(self, ctx: PassContext, recorder: Recorder) -> None:
        super().__init__(ctx.dtype, training=ctx.training, shapes=ctx.shapes, names=ctx.names)
        self._recorder = recorder
        if ctx.rng is not None:
            self.rng = _TracedGenerator(ctx.rng, recorder)  # type: ignore[assignment]  # forwards each method

    def empty(self, shape: Shape, dtype: DTypeLike | None = None) -> Any:
        """Return a traced array of `shape` with arbitrary content."""
        return trace(super().empty(shape, dtype), self._recorder)


Passes: TypeAlias = Callable[..., Any]
"""Passes through a network, `passes(*inputs, views, ctx)`, that return arrays."""


class Recording:
    """The NumPy calls of passes over inputs of given shapes, on arrays that the recording keeps.

    `ready` says whether they can be replayed; `result` is that of the last replay, and the next overwrites it.
    """

    def __init__(self, passes: Passes, inputs: tuple[Array, ...], views: Views, ctx: PassContext) -> None:
        """Run `passes(*inputs, views, ctx)` and record its calls."""
        self.ready = False
        if sum(one.nbytes for one in inputs) > MAX_COPIED_BYTES or ctx.sample_weight is not None:
            self.result = passes(*inputs, views, ctx)
            return
        self._inputs = tuple(one.copy() for one in inputs)
        recorder = Recorder()
        tracing = TracingContext(ctx, recorder)
        arrays = [trace(one, recorder) for one in self._inputs]
        self.result = untrace(passes(*arrays, trace_views(views, recorder), tracing))
        self._mask, self._weights = ctx.mask, ctx.weights = untrace(tracing.mask), untrace(tracing.weights)
        self._calls, self.ready = recorder.calls, recorder.complete

    def replay(self, inputs: tuple[Array, ...], ctx: PassContext) -> Any:
        """Repeat the calls on other inputs of the same shapes, with the current content of the views."""
        for own, given in zip(self._inputs, inputs, strict=True):
            own[...] = given
        for call in self._calls:
            call()
        ctx.mask, ctx.weights = self._mask, self._weights
        return self.result


class Replayer:
    """Passes that run at every step: recorded at the second step with inputs of given shapes, then replayed.

    The shape of the first input decides those of the others. Passes that cannot be replayed run as they are each time.
    """

    def __init__(self, passes: Passes, views: Views) -> None:
        self._passes, self._views = passes, views
        self._run_once: set[Shape] = set()
        self.recordings: dict[Shape, Recording] = {}

    def __call__(self, ctx: PassContext, *inputs: Array) -> Any:
        """Return the result of the passes for these inputs."""
        shape = inputs[0].shape
        recording = self.recordings.get(shape)
        if recording is not None and recording.ready:
            return recording.replay(inputs, ctx)
        if recording is None and shape in self._run_once:
            recording = self.recordings[shape] = Recording(self._passes, inputs, self._views, ctx)
            return recording.result
        self._run_once.add(shape)
        return self._passes(*inputs, self._views, ctx)
