"""Names of classes: the spellings of true and false are one value each."""

from collections import Counter
from collections.abc import Mapping, Sequence

TRUTH = frozenset({"true", "false"})


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


def spellings_of(name: str) -> Sequence[str]:
    """Return the texts that mean a class: its name, and of true and false every usual spelling."""
    return (name, *{name.lower(), name.upper(), name.capitalize()} - {name}) if name.lower() in TRUTH else (name,)
