"""Tests of core/data/files/spectra.py, against SciPy's transforms and filters computed one number at a time."""

import math

import numpy as np
import pytest
import scipy.fft
import scipy.signal

from core.data.files.spectra import (
    cosine_transform,
    fft_length,
    frame_count,
    hertz,
    log_mel,
    mel,
    mel_filters,
    power_spectra,
)

NOISE = np.random.default_rng(0).standard_normal(1000).astype(np.float32)


@pytest.mark.parametrize(("window", "hop"), [(64, 16), (100, 37), (200, 200), (3, 1)])
def test_power_spectra_are_those_of_scipy(window: int, hop: int) -> None:
    found = power_spectra(NOISE, window, hop)
    hann = scipy.signal.get_window("hann", window)  # periodic
    frames = [NOISE[start : start + window] for start in range(0, len(NOISE) - window + 1, hop)]
    expected = [np.abs(scipy.fft.rfft(frame * hann, fft_length(window))) ** 2 for frame in frames]
    assert found.shape == (frame_count(1000, window, hop), fft_length(window) // 2 + 1)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_a_short_recording_has_one_window() -> None:
    assert power_spectra(NOISE[:5], 64, 16).shape == (1, 33)
    assert frame_count(5, 64, 16) == 1


def one_filter(f: float, left: float, center: float, right: float) -> float:
    if left < f <= center:
        return (f - left) / (center - left)
    return (right - f) / (right - center) if center < f < right else 0.0


@pytest.mark.parametrize(
    ("rate", "window", "bands", "low", "high"), [(16_000, 400, 40, 20, 8000), (8000, 200, 5, 0, 3000)]
)
def test_mel_filters_are_triangles(rate: int, window: int, bands: int, low: float, high: float) -> None:
    found = mel_filters(rate, window, bands, low, high)
    lowest, highest = (2595 * math.log10(1 + f / 700) for f in (low, high))
    edges = [700 * (10 ** ((lowest + i * (highest - lowest) / (bands + 1)) / 2595) - 1) for i in range(bands + 2)]
    size = fft_length(window)
    expected = [[one_filter(k * rate / size, *edges[b : b + 3]) for b in range(bands)] for k in range(size // 2 + 1)]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_mel_scale_has_1000_at_1000_hertz() -> None:
    assert float(mel(np.array(1000.0))) == pytest.approx(1000, abs=0.1)
    np.testing.assert_allclose(hertz(mel(np.array([0.0, 20, 8000]))), [0, 20, 8000], atol=1e-9)


def test_log_mel_of_silence_is_finite() -> None:
    found = log_mel(np.zeros((2, 257), np.float32), mel_filters(16_000, 400, 40, 20, 8000))
    np.testing.assert_allclose(found, math.log(1e-10), rtol=1e-6)


@pytest.mark.parametrize(("bands", "coefficients"), [(40, 13), (5, 5), (8, 1)])
def test_cosine_transform_is_that_of_scipy(bands: int, coefficients: int) -> None:
    energies = NOISE[: 4 * bands].reshape(4, bands)
    expected = scipy.fft.dct(energies, type=2, norm="ortho", axis=1)[:, :coefficients]
    np.testing.assert_allclose(energies @ cosine_transform(bands, coefficients), expected, atol=1e-5)
