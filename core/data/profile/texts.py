"""The summary of a column of categories or texts: the most frequent values, and the lengths of texts."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.data.profile.numbers import TOP
from core.data.schema import Column

MAX_TEXT = 120
"""Characters of a value that is shown."""


def summarize_categories(column: Column) -> dict[str, Any]:
    """Return the most frequent categories of all rows."""
    counts = Counter(dict(column.classes))
    return {"distinct": len(counts), "top": _top(counts)}


def summarize_texts(values: NDArray[Any]) -> dict[str, Any]:
    """Return the most frequent of texts `(n,)`, None where missing, and their lengths in characters and words."""
    texts = [value for value in values if value is not None]
    if not texts:
        return {}
    counts = Counter(texts)
    repeated = Counter({text: count for text, count in counts.items() if count > 1})
    return {
        "distinct": len(counts),
        "top": _top(repeated),
        "characters": spread([len(text) for text in texts]),
        "words": spread([len(text.split()) for text in texts]),
    }


def _top(counts: "Counter[str]") -> list[dict[str, Any]]:
    return [{"value": text[:MAX_TEXT], "count": count} for text, count in counts.most_common(TOP)]


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return the smallest, the median and the largest of some numbers."""
    return {"min": float(min(values)), "median": float(np.median(values)), "max": float(max(values))}
