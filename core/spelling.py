"""Close spellings: which known name a client may have meant by an unknown one."""

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from itertools import islice

CLOSENESS = 0.75
"""Least similarity of two names, from 0 to 1: twice their common letters by the letters of both."""
MAX_COMPARED_CHARACTERS = 100
"""Longer names are close to none: the comparison takes time with the square of the length."""
MAX_COMPARED_NAMES = 1000
"""Known names whose spelling is compared, the first; of the others only an equal one is found."""
MAX_LISTED_NAMES = 12
"""Names that a message lists at most."""


def plain(name: str) -> str:
    """Return a name in lower case with only its letters and digits: `Conv2D`, `conv_2d` and `nn.Conv2d` are one."""
    return re.sub(r"[\W_]", "", name.removesuffix("()").rpartition(".")[2].lower())


def closest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is spelled most like this one; None where none is close."""
    if len(name) > MAX_COMPARED_CHARACTERS or not plain(name):
        return None
    by_plain = {plain(one): one for one in known if len(one) <= MAX_COMPARED_CHARACTERS}
    if equal := by_plain.get(plain(name)):
        return equal
    matches = get_close_matches(plain(name), islice(by_plain, MAX_COMPARED_NAMES), n=1, cutoff=CLOSENESS)
    return by_plain[matches[0]] if matches else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `did you mean NAME? ` for the known name that is spelled most like this one; empty where none is close."""
    meant = closest(name, known)
    return f"did you mean {meant}? " if meant else ""


def choices(known: Sequence[str], whole_list: str) -> str:
    """Return the known names for a message, a few of them where they are many, and where the whole list is."""
    if len(known) <= MAX_LISTED_NAMES:
        return ", ".join(known)
    return f"{', '.join(known[:MAX_LISTED_NAMES])}, … ({whole_list} lists all {len(known)})"
