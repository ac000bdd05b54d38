"""Which script a word is written in, by the names that Unicode gives its letters: alpha beta gamma are Greek.

A word is five to ten letters of one script, each told by what its name says after `LETTER` or `SYLLABLE`, so that
the script itself is never named. The words that are asked about were never seen.
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
"""Words of each script."""
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
    """The share of words whose script is right."""
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
    """What the names of the script's letters say after `LETTER` or `SYLLABLE`, in small letters."""
    names = (unicodedata.name(chr(code), "") for code in range(sys.maxunicode + 1))
    told = (name.partition(f" {kind} ")[2] for name in names for kind in KINDS if name.startswith(script))
    return sorted({name.lower() for name in told if name.replace(" ", "").isalpha() and len(name) <= LONGEST})


KINDS = ("LETTER", "SYLLABLE")
LONGEST = 12
"""Letters of a name; longer ones are those of signs that few words have."""


def _words(letters: list[str], count: int, rng: np.random.Generator) -> Any:
    """`(count, STEPS)`: 1 to 26 for a to z, 27 between two letters, 0 after the last."""
    rows = np.zeros((count, STEPS), np.float32)
    for row in rows:
        word = " ".join(rng.choice(letters, rng.integers(5, 11)).tolist()).encode()[:STEPS]
        row[: len(word)] = [27 if byte == 32 else byte - 96 for byte in word]
    return rows
