"""Arrays that tell somebody of each operation in which they take part. Layers know nothing of it.

What comes of an operation is watched in its turn, so that nothing is missed between a pass's first array and its last.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from operator import getitem, setitem
from typing import Any, Protocol

import numpy as np

from core.nn.plan import Views


class Tracer(Protocol):
    """Whoever wants to know what is done with some arrays."""

    def saw(self, function: Callable[..., Any], args: Any, named: Mapping[str, Any], result: Any) -> None:
        """NumPy's `function`, or `getitem` or `setitem`, was called so; the arguments are as they were given."""

    def missed(self) -> None:
        """Numbers went somewhere where nobody watches: into Python, or a copy."""


class TracedArray(np.ndarray[Any, Any]):
    """An array that is watched."""

    __slots__ = ("watcher",)

    watcher: Tracer

    def __array_finalize__(self, parent: Any) -> None:
        self.watcher = getattr(parent, "watcher", None)  # type: ignore[assignment]  # `watched` says whose it is

    def __array_ufunc__(self, ufunc: Any, method: str, *args: Any, out: Any = None, **named: Any) -> Any:
        function = ufunc if method == "__call__" else getattr(ufunc, method)
        return self._call(function, args, named | ({"out": out[0] if len(out) == 1 else out} if out else {}))

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return self._call(function, args, kwargs)

    def __getitem__(self, key: Any) -> Any:
        item = super().__getitem__(key)
        return item if self._is_here(item) else self._call(getitem, (self, key), {})

    def __setitem__(self, key: Any, value: Any) -> None:
        self._call(setitem, (self, key, value), {})

    def fill(self, value: Any) -> None:
        """Write the same number everywhere."""
        self._call(np.copyto, (self, value), {})

    def reshape(self, *shape: Any, **named: Any) -> Any:
        """A view where there can be one."""
        made = super().reshape(*shape, **named)
        if not self._is_here(made):
            self.watcher.missed()
        return made

    def __getattribute__(self, name: str) -> Any:
        if name in _UNWATCHED:
            super().__getattribute__("watcher").missed()
        return super().__getattribute__(name)

    def _is_here(self, other: Any) -> bool:
        """Whether it is a view of the same memory."""
        return isinstance(other, TracedArray) and np.may_share_memory(plain(self), plain(other))

    def _call(self, function: Any, args: Any, named: Any) -> Any:
        result = function(*plain(args), **plain(named))
        if isinstance(result, np.generic):
            result = np.asarray(result)  # a number alone would tell nobody
        self.watcher.saw(function, args, named, result)
        out = named.get("out")
        return watched(result, self.watcher) if out is None else out


_UNWATCHED = frozenset(
    {name for name in dir(np.ndarray) if name[0] != "_" and callable(getattr(np.ndarray, name))}
    - {"fill", "reshape", "swapaxes", "transpose", "view"}
)
"""Methods that NumPy does not tell of; of those left out one is told of above, and the others make views."""


def _missing(name: str) -> Any:
    def method(self: TracedArray) -> Any:
        self.watcher.missed()
        return getattr(plain(self), name)()

    return method


for _name in ("__bool__", "__complex__", "__float__", "__index__", "__int__"):
    setattr(TracedArray, _name, _missing(_name))


def watched(value: Any, watcher: Tracer) -> Any:
    """The same numbers, watched: of an array, or of each of a list's; anything else as it is."""
    if isinstance(value, np.ndarray):
        array = value.view(TracedArray)
        array.watcher = watcher
        return array
    return type(value)(watched(one, watcher) for one in value) if isinstance(value, list | tuple) else value


def plain(value: Any) -> Any:
    """The same, however nested, with nobody watching."""
    if isinstance(value, TracedArray):
        return value.view(np.ndarray)
    if isinstance(value, list | tuple):
        return type(value)(map(plain, value))
    return {name: plain(one) for name, one in value.items()} if isinstance(value, dict) else value


def traced_views(views: Views, watcher: Tracer) -> Views:
    """What a layer and its parts see, watched."""

    def each(arrays: Mapping[str, Any]) -> dict[str, Any]:
        return {name: watched(array, watcher) for name, array in arrays.items()}

    own = (each(arrays) for arrays in (views.weights, views.gradients, views.statistics))
    weights, gradients, statistics = own
    parts = tuple(traced_views(part, watcher) for part in views.parts)
    return replace(views, weights=weights, gradients=gradients, statistics=statistics, parts=parts)
