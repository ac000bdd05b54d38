"""Spoken digits, synthesized by Debian's espeak-ng; training and test voices differ.

Each voice says each digit at several speeds and pitches, with noise. The input is the log mel spectrogram (Davis &
Mermelstein 1980) minus its mean.
"""

import subprocess
import wave
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np

from benchmarks.outcome import Outcome, at_least
from benchmarks.tasks.learning import Rows, learn
from benchmarks.tasks.peers import espeak

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
ACCENTS = ("en-gb", "en-us", "en-gb-scotland", "en-gb-x-rp")
LEARNT = ("m1", "m2", "m3", "m4", "m5", "m6", "f1", "f2", "f3", "Andrea", "Denis", "Diogo", "Gene", "Jacky", "Lee",
          "Mario", "Michael", "Tweaky", "adam", "anika", "antonio", "benjamin", "caleb", "david")  # fmt: skip
UNHEARD = ("m7", "m8", "f4", "f5", "Alex", "Annie", "michel", "steph", "edward", "linda")
SPEEDS, PITCHES = (130, 175, 230), (35, 60)
"""Words per minute, and pitch on espeak's scale from 0 to 99."""
RATE = 22_050
WINDOW, HOP, BANDS, WINDOWS = 512, 256, 32, 80
NOISE = (5.0, 25.0)
"""Signal-to-noise ratio in decibels."""
TIMES = 3
"""How often each training word occurs, each time with other noise."""
RECIPE: dict[str, Any] = {
    "architecture": {
        "layers": [
            {"type": "conv1d", "filters": 64, "kernel_size": 5, "padding": "same", "use_bias": False},
            {"type": "batch_normalization"},
            {"type": "activation", "activation": "relu"},
            {"type": "max_pooling1d"},
            {"type": "conv1d", "filters": 64, "kernel_size": 5, "padding": "same", "use_bias": False},
            {"type": "batch_normalization"},
            {"type": "activation", "activation": "relu"},
            {"type": "max_pooling1d"},
            {"type": "conv1d", "filters": 96, "kernel_size": 5, "padding": "same", "activation": "relu"},
            {"type": "global_max_pooling1d"},
            {"type": "dropout", "rate": 0.4},
            {"type": "dense", "units": len(DIGITS)},
        ]
    },
    "loss": {"type": "cross_entropy", "label_smoothing": 0.05},
    "optimizer": {"type": "adamw", "learning_rate": {"type": "cosine", "initial_learning_rate": 0.003}},
    "training": {"epochs": 10, "batch_size": 32},
}


class Saying(NamedTuple):
    """Pronunciation of a digit."""

    voice: str
    digit: int
    speed: int
    pitch: int


def measure() -> Iterator[Outcome]:
    """Yield the accuracy on unseen voices."""
    rng = np.random.default_rng(0)
    x, y = _spoken(LEARNT, rng, TIMES)
    asked, true = _spoken(UNHEARD, rng, 1)
    share = learn(RECIPE, Rows(x, y), seed=0).right(asked, true)
    what = f"spoken digits under noise: {len(UNHEARD)} voices never heard, {len(true):,} words"
    yield at_least(what, 100 * share, 97, "% right")


def _spoken(voices: tuple[str, ...], rng: np.random.Generator, times: int) -> tuple[Any, Any]:
    """Return `(words, windows, bands)`, each word with `noises` different noises, and the digits.

    Voices alternate between accents.
    """
    sayings = [
        Saying(f"{ACCENTS[turn % len(ACCENTS)]}+{voice}", digit, speed, pitch)
        for turn, voice in enumerate(voices)
        for digit in range(len(DIGITS))
        for speed in SPEEDS
        for pitch in PITCHES
    ]
    with ThreadPoolExecutor(2) as pool:  # each waits for its own process
        sounds = list(pool.map(sound, sayings))
    x = np.stack([log_mel(noisy(one, rng)) for _ in range(times) for one in sounds])
    return x, np.array([saying.digit for saying in sayings] * times)


def sound(saying: Saying) -> Any:
    """Return the waveform in [-1, 1], `RATE` samples per second."""
    program = [espeak(), "-v", saying.voice, "-s", str(saying.speed), "-p", str(saying.pitch), "--stdout"]
    wav = subprocess.run([*program, DIGITS[saying.digit]], capture_output=True, check=True, timeout=60).stdout
    with wave.open(BytesIO(wav)) as file:
        frames = file.readframes(file.getnframes())
    return np.frombuffer(frames, np.int16).astype(np.float64) / 2**15


def noisy(sound: Any, rng: np.random.Generator) -> Any:
    """Return the waveform with white noise, after a pause of up to a tenth of a second."""
    late = np.concatenate([np.zeros(rng.integers(RATE // 10)), sound])
    level = np.sqrt(np.mean(np.square(sound))) * 10 ** (-rng.uniform(*NOISE) / 20)
    return late + level * rng.standard_normal(len(late))


def log_mel(sound: Any, count: int = WINDOWS) -> Any:
    """Return the log power `(count, bands)`; a short sound is padded with its quietest window."""
    length = WINDOW + HOP * (count - 1)
    padded = np.zeros(max(length, len(sound)))
    padded[: len(sound)] = sound
    windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[: HOP * count : HOP]
    power = np.square(np.abs(np.fft.rfft(windows * np.hanning(WINDOW), axis=1)))
    logs = np.log(power @ BANK + 1e-6)
    return (logs - logs.mean()).astype(np.float32)


def _bank() -> Any:
    """Return the mel filter bank `(frequencies, bands)`: triangles of equal width on `2595 · log10(1 + f / 700)`."""
    highest = 2595 * np.log10(1 + RATE / 2 / 700)
    corners = 700 * (10 ** (np.linspace(0, highest, BANDS + 2) / 2595) - 1)
    frequencies = np.fft.rfftfreq(WINDOW, 1 / RATE)[:, None]
    rising = (frequencies - corners[:-2]) / (corners[1:-1] - corners[:-2])
    falling = (corners[2:] - frequencies) / (corners[2:] - corners[1:-1])
    return np.maximum(0, np.minimum(rising, falling))


BANK = _bank()
