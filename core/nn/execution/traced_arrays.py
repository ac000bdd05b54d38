"""Arrays that report each NumPy operation on them to a tracer. Layers do not know of it.

The result of an operation on a traced array is traced as well, so that nothing is missed between the first array of a
pass and the last.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from operator import getitem, setitem
from typing import Any, Protocol

import numpy as np

from core.nn.plan import Views


class Tracer(Protocol):
    """Receives the operations on traced arrays."""

    def record(self, function: Callable[..., Any], args: Any, kwargs: Mapping[str, Any], result: Any) -> None:
        """Receive a call of a NumPy function, or of `getitem` or `setitem`, with its arguments as they were given."""

    def graph_break(self) -> None:
        """Receive that numbers left the trace: into a Python number, or a copy that is not traced."""


class TracedArray(np.ndarray[Any, Any]):
    """An array whose operations are reported to `tracer`."""

    __slots__ = ("tracer",)

    tracer: Tracer

    def __array_finalize__(self, parent: Any) -> None:
        self.tracer = getattr(parent, "tracer", None)  # type: ignore[assignment]  # `trace` sets it

    def __array_ufunc__(self, ufunc: Any, method: str, *args: Any, out: Any = None, **kwargs: Any) -> Any:
        function = ufunc if method == "__call__" else getattr(ufunc, method)
        return self._call(function, args, kwargs | ({"out": out[0] if len(out) == 1 else out} if out else {}))

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return self._call(function, args, kwargs)

    def __getitem__(self, key: Any) -> Any:
        item = super().__getitem__(key)
        return item if self._shares_memory(item) else self._call(getitem, (self, key), {})

    def __setitem__(self, key: Any, value: Any) -> None:
        self._call(setitem, (self, key, value), {})

    def fill(self, value: Any) -> None:
        """Write the same number everywhere."""
        self._call(np.copyto, (self, value), {})

    def reshape(self, *shape: Any, **kwargs: Any) -> Any:
        """Return a view where possible; a copy breaks the trace."""
        reshaped = super().reshape(*shape, **kwargs)
        if not self._shares_memory(reshaped):
            self.tracer.graph_break()
        return reshaped

    def __getattribute__(self, name: str) -> Any:
        if name in _UNTRACED_METHODS:
            super().__getattribute__("tracer").graph_break()
        return super().__getattribute__(name)

    def _shares_memory(self, other: Any) -> bool:
        return isinstance(other, TracedArray) and np.may_share_memory(untrace(self), untrace(other))

    def _call(self, function: Any, args: Any, kwargs: Any) -> Any:
        result = function(*untrace(args), **untrace(kwargs))
        if isinstance(result, np.generic):
            result = np.asarray(result)  # a scalar cannot be traced
        self.tracer.record(function, args, kwargs, result)
        out = kwargs.get("out")
        return trace(result, self.tracer) if out is None else out


_UNTRACED_METHODS = frozenset(
    {name for name in dir(np.ndarray) if name[0] != "_" and callable(getattr(np.ndarray, name))}
    - {"fill", "reshape", "swapaxes", "transpose", "view"}
)
"""Methods that bypass NumPy's dispatch; of those left out, two are overridden above and the others return views."""


def _breaking(name: str) -> Any:
    def method(self: TracedArray) -> Any:
        self.tracer.graph_break()
        return getattr(untrace(self), name)()

    return method


for _name in ("__bool__", "__complex__", "__float__", "__index__", "__int__"):
    setattr(TracedArray, _name, _breaking(_name))


def trace(value: Any, tracer: Tracer) -> Any:
    """Return a traced view of an array, or of each array in a list or tuple; anything else as it is."""
    if isinstance(value, np.ndarray):
        array = value.view(TracedArray)
        array.tracer = tracer
        return array
    return type(value)(trace(one, tracer) for one in value) if isinstance(value, list | tuple) else value


def untrace(value: Any) -> Any:
    """Return the value with plain arrays in place of traced ones, however deep in lists, tuples and dictionaries."""
    if isinstance(value, TracedArray):
        return value.view(np.ndarray)
    if isinstance(value, list | tuple):
        return type(value)(map(untrace, value))
    return {name: untrace(one) for name, one in value.items()} if isinstance(value, dict) else value


def trace_views(views: Views, tracer: Tracer) -> Views:
    """Return the views of a layer and its parts with traced arrays."""

    def each(arrays: Mapping[str, Any]) -> dict[str, Any]:
        return {name: trace(array, tracer) for name, array in arrays.items()}

    weights, gradients, statistics = (each(arrays) for arrays in (views.weights, views.gradients, views.statistics))
    parts = tuple(trace_views(part, tracer) for part in views.parts)
    return replace(views, weights=weights, gradients=gradients, statistics=statistics, parts=parts)
