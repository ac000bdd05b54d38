"""The next character of a Python program, from the modules of the standard library: a GPT beside a 5-gram model.

Both train on the same files and are tested on others. The peer interpolates 5-gram counts with those of shorter
contexts (Witten & Bell 1991).
"""

import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.outcome import Outcome, at_most
from benchmarks.tasks.learning import Learnt, Rows, learn

ASKED = 16
"""Files that are only tested on."""
CHARACTERS = 96
"""Newline, the printable ASCII characters, and one for all others."""
CONTEXT = 128
WIDTH, HEADS, BLOCKS = 96, 4, 3
BATCH = 16
BLOCK: dict[str, Any] = {
    "type": "sequential",
    "layers": [
        {
            "type": "residual",
            "layer": {
                "type": "sequential",
                "layers": [
                    {"type": "rms_normalization"},
                    {
                        "type": "multi_head_attention",
                        "num_heads": HEADS,
                        "key_dim": WIDTH // HEADS,
                        "causal": True,
                        "rotary": True,
                    },
                ],
            },
        },
        {
            "type": "residual",
            "layer": {
                "type": "sequential",
                "layers": [
                    {"type": "rms_normalization"},
                    {"type": "dense", "units": 4 * WIDTH, "activation": "relu"},
                    {"type": "dense", "units": WIDTH},
                ],
            },
        },
    ],
}
RECIPE: dict[str, Any] = {
    "architecture": {
        "layers": [
            {"type": "embedding", "input_dim": CHARACTERS, "output_dim": WIDTH},
            {"type": "repeat", "n": BLOCKS, "layer": BLOCK},
            {"type": "rms_normalization"},
            {"type": "dense", "units": CHARACTERS},
        ]
    },
    "loss": {"type": "cross_entropy"},
    "optimizer": {
        "type": "clip_by_norm",
        "max_norm": 1.0,
        "optimizer": {
            "type": "adam",
            "learning_rate": {
                "type": "warmup",
                "warmup_steps": 100,
                "schedule": {"type": "cosine", "initial_learning_rate": 0.004},
            },
        },
    },
    "training": {"epochs": 1, "batch_size": BATCH},
}


def measure() -> Iterator[Outcome]:
    """Yield bits per character of the test files."""
    learnt, asked = _files()
    x, y = _windows(learnt)
    bits = _bits(learn(RECIPE, Rows(x, y), seed=0), *_windows(asked))
    peer = counted(learnt, asked, 5)
    what = f"the next character of {ASKED} modules never seen: a GPT, learnt in one pass, beside a 5-gram model"
    note = f"5-gram {peer:.2f}; {len(learnt):,} characters learnt, {len(asked):,} asked"
    yield at_most(what, bits, round(peer, 2), "bits", note)


def counted(learnt: Any, asked: Any, order: int) -> float:
    """Return bits per character of an interpolated n-gram model of this order; both texts `(characters,)`."""
    chance = np.full(len(asked), 1 / CHARACTERS)
    for length in range(1, order + 1):
        grams, counts = np.unique(_grams(learnt, length), return_counts=True)
        befores, which = np.unique(grams // CHARACTERS, return_inverse=True)
        seen, kinds = np.bincount(which, counts), np.bincount(which)
        now = _grams(asked, length)
        place, known = _found(befores, now // CHARACTERS)
        gram, met = _found(grams, now)
        here = np.where(met, counts[gram], 0)
        leaned = (here + kinds[place] * chance) / (seen[place] + kinds[place])
        chance = np.where(known, leaned, chance)
    return float(-np.log2(chance).mean())


def _files() -> tuple[Any, Any]:
    """Return training and test text, one row of characters each."""
    files = sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py"))
    order = np.random.default_rng(0).permutation(len(files))
    texts = [_characters(files[place].read_text(encoding="utf-8")) for place in order]
    return np.concatenate(texts[ASKED:]), np.concatenate(texts[:ASKED])


def _characters(text: str) -> Any:
    """Return ids: 0 for newline, 1 to 95 for printable ASCII, the question mark's for all others."""
    codes = np.frombuffer(text.expandtabs().encode("ascii", "replace"), np.uint8).astype(np.int64)
    return np.where((codes >= 32) & (codes < 127), codes - 31, np.where(codes == 10, 0, ord("?") - 31))


def _windows(text: Any) -> tuple[Any, Any]:
    """Return `(windows, CONTEXT)` of characters and of the characters after each."""
    rows = (len(text) - 1) // CONTEXT
    x, y = text[: rows * CONTEXT], text[1 : rows * CONTEXT + 1]
    return x.reshape(rows, CONTEXT).astype(np.float32), y.reshape(rows, CONTEXT)


def _bits(learnt: Learnt, x: Any, y: Any) -> float:
    lost = 0.0
    for first in range(0, len(x), 64):
        scores = learnt.outputs(x[first : first + 64]).astype(np.float64)
        scores -= scores.max(axis=-1, keepdims=True)
        likely = scores - np.log(np.exp(scores).sum(axis=-1, keepdims=True))
        lost -= float(np.take_along_axis(likely, y[first : first + 64, :, None], axis=-1).sum())
    return lost / y.size / float(np.log(2))


def _grams(text: Any, length: int) -> Any:
    """Return a number for each n-gram of this length that ends at each character."""
    padded = np.concatenate([np.zeros(length - 1, np.int64), text])
    return sum(padded[place : place + len(text)] * CHARACTERS ** (length - 1 - place) for place in range(length))


def _found(numbers: Any, asked: Any) -> tuple[Any, Any]:
    """Return the position of each searched number among the ascending ones, and whether it is present."""
    place = np.searchsorted(numbers, asked).clip(max=len(numbers) - 1)
    return place, numbers[place] == asked
