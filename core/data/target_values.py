"""What a net's answers should have been, as a client writes them, become what a loss compares with."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.data.cells import shown
from core.data.errors import InvalidInstance
from core.data.nested_lists import NotNumbers, numbers
from core.data.padding import filled, sequences
from core.data.sources.source import NAMING
from core.data.targets import Classes, Embeddings, Labels, Numbers, Target

PLACE = "/targets"


def targets_of(target: Target, values: Sequence[Any], steps: tuple[int, ...] = ()) -> NDArray[Any]:
    """One target a row: numbers `(rows, *target.shape)`, or ids of classes `(rows, *steps)` from their names.

    Raises `InvalidInstance` at the first that is wrong.
    """
    if isinstance(target, Classes):
        return _ids(target, values, steps)
    if isinstance(target, Embeddings):
        return _alike(values)
    return _labels(target, values) if isinstance(target, Labels) else _numbers(target, values)


def _alike(values: Sequence[Any]) -> NDArray[np.int64]:
    """One id `(rows,)` for all rows of one class, whatever it is called."""
    wrong = next((index for index, value in enumerate(values) if isinstance(value, list | dict)), None)
    if wrong is not None:
        raise InvalidInstance(wrong, f"{PLACE}/{wrong}", "must be the class of the row, a name or a whole number")
    return np.unique([_name(value) for value in values], return_inverse=True)[1].astype(np.int64)


def _labels(target: Labels, values: Sequence[Any]) -> NDArray[np.float64]:
    """`(rows, target.most)`, what is no label 0."""
    try:
        return filled(sequences([value or [0] for value in values]), target.most, 0.0, "post")
    except NotNumbers as error:
        raise InvalidInstance(error.path[0] if error.path else 0, PLACE + error.pointer, error.message) from None


def _numbers(target: Numbers, values: Sequence[Any]) -> NDArray[np.float32]:
    try:
        array = numbers(values)
    except NotNumbers as error:
        raise InvalidInstance(error.path[0] if error.path else 0, PLACE + error.pointer, error.message) from None
    if array.shape[1:] != target.shape and (array.ndim > 1 or target.shape != (1,)):
        raise InvalidInstance(0, f"{PLACE}/0", f"has the shape {array.shape[1:]}: give numbers of {target.shape}")
    return array.reshape(len(array), *target.shape).astype(np.float32)


def _ids(target: Classes, values: Sequence[Any], steps: tuple[int, ...]) -> NDArray[np.int64]:
    ids = {name: place for place, name in enumerate(target.names)}
    rows = [_row(ids, value, steps, f"{PLACE}/{index}", index) for index, value in enumerate(values)]
    return np.array(rows, np.int64).reshape(len(rows), *steps)


def _row(ids: Mapping[str, int], value: Any, steps: tuple[int, ...], place: str, index: int) -> Any:
    """The id of one class, or one for each step, nested as the steps are."""
    if steps:
        if not isinstance(value, list) or len(value) != steps[0]:
            raise InvalidInstance(index, place, f"must be a list of {steps[0]}, a class for each step")
        return [_row(ids, part, steps[1:], f"{place}/{step}", index) for step, part in enumerate(value)]
    found = None if isinstance(value, list | dict) else ids.get(_name(value))
    if found is None:
        raise InvalidInstance(index, place, f"is none of the classes {', '.join(map(shown, list(ids)[:10]))}: give one")
    return found


def _name(value: Any) -> str:
    """How a value names its class: as in the data, and whole numbers by their digits."""
    write = NAMING.get(type(value))
    if write is not None:
        return str(write(value))
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
