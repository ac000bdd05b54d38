"""How strongly a column and a target are associated, from 0 to 1; of two columns of numbers from −1 to 1.

Two columns of numbers have Pearson's correlation. Numbers and classes have the correlation ratio η, the square root of
the part of the variance that lies between the classes (Fisher 1925). Two columns of classes have Cramér's V (1946).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_CELLS = 1_000_000
"""Cells of the contingency table of two columns of classes; larger ones say nothing."""


def association(values: NDArray[Any], target: NDArray[Any]) -> dict[str, Any] | None:
    """Return the measure and its value for two columns `(n,)`: floats with NaN, or codes of classes with −1.

    None where fewer than two rows have both, or one of them is constant there.
    """
    both = _present(values) & _present(target)
    values, target = values[both], target[both]
    if len(values) < 2:
        return None
    numeric = values.dtype.kind == "f", target.dtype.kind == "f"
    if all(numeric):
        measure, value = "pearson", _pearson(values, target)
    elif any(numeric):
        numbers, codes = (values, target) if numeric[0] else (target, values)
        measure, value = "correlation_ratio", _correlation_ratio(numbers, codes)
    else:
        measure, value = "cramers_v", _cramers_v(values, target)
    return None if value is None else {"measure": measure, "value": value, "rows": len(values)}


def _present(values: NDArray[Any]) -> NDArray[np.bool_]:
    return ~np.isnan(values) if values.dtype.kind == "f" else values >= 0


def _pearson(a: NDArray[Any], b: NDArray[Any]) -> float | None:
    a, b = _scaled(a), _scaled(b)
    scale = float(np.sqrt(np.square(a).sum() * np.square(b).sum()))
    return float(np.clip(a @ b / scale, -1, 1)) if scale > 0 else None


def _scaled(values: NDArray[Any]) -> NDArray[np.float64]:
    """Return numbers with mean 0, in a range where their squares are finite."""
    values = values.astype(np.float64)
    values = values - values.mean()
    return np.asarray(values / (np.abs(values).max() or 1.0))


def _correlation_ratio(numbers: NDArray[Any], codes: NDArray[Any]) -> float | None:
    centred = _scaled(numbers)
    total = float(np.square(centred).sum())
    _, ids = np.unique(codes, return_inverse=True)
    counts = np.bincount(ids)
    if total == 0 or not 1 < len(counts) < len(codes):
        return None
    between = float((np.square(np.bincount(ids, centred)) / counts).sum())
    return float(np.sqrt(np.clip(between / total, 0, 1)))


def _cramers_v(a: NDArray[Any], b: NDArray[Any]) -> float | None:
    (rows, of_a), (columns, of_b) = (np.unique(codes, return_inverse=True) for codes in (a, b))
    height, width = len(rows), len(columns)
    if min(height, width) < 2 or height * width > MAX_CELLS:
        return None
    observed = np.bincount(of_a * width + of_b, minlength=height * width).reshape(height, width).astype(np.float64)
    expected = np.outer(observed.sum(axis=1), observed.sum(axis=0)) / len(a)
    chi_squared = float((np.square(observed - expected) / expected).sum())
    return float(np.sqrt(np.clip(chi_squared / len(a) / (min(height, width) - 1), 0, 1)))
