"""Spectra of recordings: short-time power spectra, log-mel energies and cepstral coefficients.

The mel filters and cepstral coefficients are those of S. B. Davis and P. Mermelstein, "Comparison of Parametric
Representations for Monosyllabic Word Recognition in Continuously Spoken Sentences" (1980); the mel scale is that of
D. O'Shaughnessy, "Speech Communication" (1987).
"""

import numpy as np
from numpy.typing import NDArray

SMALLEST_ENERGY = 1e-10
"""Added to each energy, so that silence has a logarithm: −23."""


def frame_count(samples: int, window: int, hop: int) -> int:
    """Return the number of windows that begin every `hop` samples and end within the recording, at least 1."""
    return 1 + max(0, samples - window) // hop


def fft_length(window: int) -> int:
    """Return the power of two that holds a window."""
    return 1 << max(1, (window - 1).bit_length())


def power_spectra(samples: NDArray[np.float32], window: int, hop: int) -> NDArray[np.float32]:
    """Return |X_t(k)|² `(frames, fft_length / 2 + 1)` of windows that begin every `hop` samples.

    X_t(k) = Σ_n w(n) x(t·hop + n) exp(−2πi·k·n / N) with the periodic Hann window w(n) = ½ − ½ cos(2πn / window).
    """
    if len(samples) < window:
        samples = np.pad(samples, (0, window - len(samples)))
    hann = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)).astype(np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(samples, window)[::hop]
    spectra = np.fft.rfft(windows * hann, fft_length(window))
    return np.asarray(np.square(spectra.real) + np.square(spectra.imag), np.float32)


def mel(hertz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return frequencies on the mel scale: m = 2595 log₁₀(1 + f / 700)."""
    return np.asarray(2595 * np.log10(1 + hertz / 700))


def hertz(mels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the frequencies of mels: f = 700 (10^(m / 2595) − 1)."""
    return np.asarray(700 * (10 ** (mels / 2595) - 1))


def mel_filters(rate: int, window: int, bands: int, low: float, high: float) -> NDArray[np.float32]:
    """Return triangular filters `(fft_length / 2 + 1, bands)` from `low` to `high` Hz, evenly spaced in mels.

    Filter b rises from 0 at the center of b − 1 to 1 at its own, and falls to 0 at that of b + 1.
    """
    frequencies = np.arange(fft_length(window) // 2 + 1) * rate / fft_length(window)
    first, last = mel(np.array([low, high])).tolist()
    edges = hertz(np.linspace(first, last, bands + 2))
    rising = (frequencies[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - frequencies[:, None]) / (edges[2:] - edges[1:-1])
    return np.maximum(0, np.minimum(rising, falling)).astype(np.float32)


def log_mel(spectra: NDArray[np.float32], filters: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return ln(10⁻¹⁰ + Σ_k |X(k)|² · filter_b(k)) `(frames, bands)` of power spectra `(frames, bins)`."""
    return np.log(spectra @ filters + np.float32(SMALLEST_ENERGY))


def cosine_transform(bands: int, coefficients: int) -> NDArray[np.float32]:
    """Return the orthonormal DCT-II `(bands, coefficients)`: c(j) = s_j √(2/B) Σ_b e(b) cos(π j (b + ½) / B).

    s_0 = 1/√2 and s_j = 1 for all others, so that its columns are orthonormal.
    """
    angles = np.pi * np.outer(np.arange(bands) + 0.5, np.arange(coefficients)) / bands
    scale = np.sqrt(2 / bands) * np.where(np.arange(coefficients) == 0, np.sqrt(0.5), 1)
    return (scale * np.cos(angles)).astype(np.float32)
