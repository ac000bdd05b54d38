"""Names of classes: the spellings of true and false are one value each."""

from collections import Counter
from collections.abc import Mapping

from core.data.cells import TRUTH


def folded(counts: Mapping[str, int]) -> dict[str, int]:
    """Return counts of texts in which `TRUE`, `True` and `true` are one, named as most cells have it."""
    spellings: dict[str, Counter[str]] = {}
    for text, count in counts.items():
        if text.lower() in TRUTH:
            spellings.setdefault(text.lower(), Counter())[text] += count
    merged = {text: count for text, count in counts.items() if text.lower() not in TRUTH}
    for found in spellings.values():
        name = min(found, key=lambda text: (-found[text], text))
        merged[name] = found.total()
    return merged
