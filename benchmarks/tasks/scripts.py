"""Classify the script of a word from the Unicode names of its letters: alpha beta gamma is Greek.

A word is five to ten letters of one script, each represented by its Unicode name after `LETTER` or `SYLLABLE`, so that
the script itself is not named. Test words are unseen.
"""

import sys
import unicodedata
from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.outcome import Outcome, at_least
from benchmarks.tasks.learning import Rows, learn

SCRIPTS = ("ARABIC", "ARMENIAN", "CHEROKEE", "CYRILLIC", "DEVANAGARI", "ETHIOPIC", "GEORGIAN", "GOTHIC", "GREEK",
           "HANGUL", "HEBREW", "HIRAGANA", "LATIN", "MONGOLIAN", "TAMIL", "TIBETAN")  # fmt: skip
LEARNT, ASKED = 600, 200
"""Words per script."""
STEPS = 72
RECIPE: dict[str, Any] = {
    "architecture": {
        "layers": [
            {"type": "embedding", "input_dim": 28, "output_dim": 16, "mask_zero": True},
            {"type": "bidirectional", "layer": {"type": "gru", "units": 48}},
            {"type": "dropout", "rate": 0.3},
            {"type": "dense", "units": len(SCRIPTS)},
        ]
    },
    "loss": {"type": "cross_entropy"},
    "optimizer": {"type": "adam", "learning_rate": {"type": "cosine", "initial_learning_rate": 0.005}},
    "training": {"epochs": 8, "batch_size": 64},
}


def measure() -> Iterator[Outcome]:
    """Yield the accuracy on unseen words."""
    rng = np.random.default_rng(0)
    learnt, asked = [], []
    for script in SCRIPTS:
        letters = _letters(script)
        learnt.append(_words(letters, LEARNT, rng))
        asked.append(_words(letters, ASKED, rng))
    known = Rows(np.concatenate(learnt), np.repeat(np.arange(len(SCRIPTS)), LEARNT))
    share = learn(RECIPE, known, seed=0).right(np.concatenate(asked), np.repeat(np.arange(len(SCRIPTS)), ASKED))
    what = f"the script of a word, of {len(SCRIPTS)}, by the names of its letters"
    yield at_least(what, 100 * share, 95, "% right")


def _letters(script: str) -> list[str]:
    """Return the names of the script's letters after `LETTER` or `SYLLABLE`, in lower case."""
    names = (unicodedata.name(chr(code), "") for code in range(sys.maxunicode + 1))
    letters = (name.partition(f" {kind} ")[2] for name in names for kind in KINDS if name.startswith(script))
    return sorted({name.lower() for name in letters if name.replace(" ", "").isalpha() and len(name) <= LONGEST})


KINDS = ("LETTER", "SYLLABLE")
LONGEST = 12
"""Maximum letters of a name; longer ones belong to rare signs."""


def _words(letters: list[str], count: int, rng: np.random.Generator) -> Any:
    """Return ids `(count, STEPS)`: 1 to 26 for a to z, 27 between two letters, 0 as padding."""
    rows = np.zeros((count, STEPS), np.float32)
    for row in rows:
        word = " ".join(rng.choice(letters, rng.integers(5, 11)).tolist()).encode()[:STEPS]
        row[: len(word)] = [27 if byte == 32 else byte - 96 for byte in word]
    return rows
