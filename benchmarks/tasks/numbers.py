"""Spoken numbers, digit by digit, with CTC: the labels say nothing about where in the sound a digit is.

The words are those of `speech`, in one voice, speed and pitch per number, with pauses and noise. Training and test
voices differ.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from benchmarks.outcome import Outcome, at_most
from benchmarks.tasks.learning import Rows, learn
from benchmarks.tasks.speech import (
    ACCENTS,
    BANDS,
    DIGITS,
    LEARNT,
    PITCHES,
    RATE,
    SPEEDS,
    UNHEARD,
    Saying,
    log_mel,
    noisy,
    sound,
)
from core.nn.losses.ctc import Ctc
from core.nn.metrics.base import zero_sums
from core.nn.metrics.sequences import EditDistance

FEWEST, MOST = 2, 5
"""Maximum number of digits."""
WINDOWS = 352
PAUSE = 0.15
"""Maximum seconds between two words."""
NUMBERS = 16
"""Numbers per voice, speed and pitch."""

CONVOLVED = [
    {"type": "batch_normalization"},
    {"type": "activation", "activation": "relu"},
    {"type": "max_pooling1d"},
]
RECIPE: dict[str, Any] = {
    "architecture": {
        "layers": [
            {"type": "gaussian_noise", "stddev": 1.2},
            {"type": "conv1d", "filters": 48, "kernel_size": 5, "padding": "same", "use_bias": False},
            *CONVOLVED,
            {"type": "conv1d", "filters": 64, "kernel_size": 5, "padding": "same", "use_bias": False},
            *CONVOLVED,
            {"type": "dropout", "rate": 0.2},
            {"type": "bidirectional", "layer": {"type": "gru", "units": 64, "return_sequences": True}},
            {"type": "dropout", "rate": 0.3},
            {"type": "dense", "units": 1 + len(DIGITS)},
        ]
    },
    "loss": {"type": "ctc"},
    "optimizer": {
        "type": "clip_by_norm",
        "max_norm": 5,
        "optimizer": {"type": "adamw", "learning_rate": {"type": "cosine", "initial_learning_rate": 0.004}},
    },
    "training": {"epochs": 14, "batch_size": 32},
}
"""Return the network; its last layer has one unit for the blank and one per digit."""


def measure() -> Iterator[Outcome]:
    """Yield the character error rate on unseen voices."""
    rng = np.random.default_rng(0)
    x, y = _read_out(LEARNT, rng)
    asked, true = _read_out(UNHEARD, rng)
    learnt = learn(RECIPE, Rows(x, y), seed=0)
    sums = zero_sums(EditDistance.num_sums)
    EditDistance().add(sums, Ctc().link(learnt.outputs(asked)), true)
    what = f"numbers read out under noise, by CTC: {len(UNHEARD)} voices never heard, {len(true):,} numbers"
    yield at_most(what, 100 * EditDistance().value(sums), 5, "% of the digits to be corrected")


def _read_out(voices: tuple[str, ...], rng: np.random.Generator) -> tuple[Any, Any]:
    """Return `(numbers, windows, bands)` and labels from 1 `(numbers, MOST)`, padded with 0."""
    speakers = [
        (f"{ACCENTS[turn % len(ACCENTS)]}+{voice}", speed, pitch)
        for turn, voice in enumerate(voices)
        for speed in SPEEDS
        for pitch in PITCHES
    ]
    sayings = [Saying(voice, digit, speed, pitch) for voice, speed, pitch in speakers for digit in range(len(DIGITS))]
    with ThreadPoolExecutor(2) as pool:  # each waits for its own process
        sounds = dict(zip(sayings, pool.map(sound, sayings), strict=True))
    count = NUMBERS * len(speakers)
    x, y = np.empty((count, WINDOWS, BANDS), np.float32), np.zeros((count, MOST), np.int64)
    for row in range(count):
        voice, speed, pitch = speakers[row % len(speakers)]
        digits = rng.integers(0, len(DIGITS), rng.integers(FEWEST, MOST + 1)).tolist()
        words = [sounds[Saying(voice, digit, speed, pitch)] for digit in digits]
        x[row] = log_mel(noisy(_joined(words, rng), rng), WINDOWS)
        y[row, : len(digits)] = np.add(digits, 1)
    return x, y


def _joined(words: list[Any], rng: np.random.Generator) -> Any:
    """Return one sound; each word is cut where it falls silent, since espeak appends up to half a second."""
    words = [word[: np.flatnonzero(np.abs(word) > 0.01 * np.abs(word).max())[-1] + 1] for word in words]
    pauses = [np.zeros(rng.integers(int(PAUSE * RATE))) for _ in words]
    return np.concatenate([part for pair in zip(words, pauses, strict=True) for part in pair])
