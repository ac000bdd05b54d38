"""Tests of the encoders of recordings, core/data/encoders/{sound,spectrum,waveform,log_mel,mfcc}.py."""

from typing import Any

import numpy as np
import pytest

from core.data.encoders.encoder import WrongValue
from core.data.encoders.log_mel import LogMelOptions
from core.data.encoders.mfcc import MfccOptions
from core.data.encoders.waveform import WaveformOptions
from core.data.errors import InvalidFile
from core.data.files.spectra import cosine_transform, log_mel, mel_filters, power_spectra
from core.data.files.values import HeldFile, column_of
from core.data.schema import Column
from tests.core.data.encoders.cases import RECORDINGS, SOUND_FILES
from tests.core.data.files.media import recording, tone

LONG = Column(name="file", type="audio", rows=2, max=400.0)


@pytest.mark.parametrize(
    ("options", "column", "shape"),
    [
        (WaveformOptions(), RECORDINGS, (1600, 1)),
        (WaveformOptions(), LONG, (160_000, 1)),
        (WaveformOptions(rate=8000, seconds=0.5), LONG, (4000, 1)),
        (LogMelOptions(), RECORDINGS, (8, 40)),
        (LogMelOptions(seconds=1, hop_ms=20, bands=64), LONG, (49, 64)),
        (LogMelOptions(seconds=0.001), LONG, (1, 40)),
        (MfccOptions(), RECORDINGS, (8, 13)),
        (MfccOptions(bands=8, coefficients=20), RECORDINGS, (8, 8)),
    ],
)
def test_shape_follows_from_options_and_the_longest_recording(options: Any, column: Column, shape: Any) -> None:
    assert options.shape_for(column) == shape
    assert options.fit(column, SOUND_FILES, scaled=True).shape == shape


def encoded(options: Any) -> Any:
    encoder = options.fit(RECORDINGS, SOUND_FILES, scaled=True)
    x = np.zeros((2, *encoder.shape), np.float32)
    encoder.transform(SOUND_FILES, x)
    return x


def test_numbers_are_those_of_the_formulas() -> None:
    samples = np.pad(tone(1000, 0.05), (0, 400)).astype(np.float32)
    energies = log_mel(power_spectra(samples, 200, 80), mel_filters(8000, 200, 12, 20, 4000))
    options: dict[str, Any] = {"rate": 8000, "bands": 12, "normalize": "none"}
    np.testing.assert_allclose(encoded(LogMelOptions(**options))[1], energies, atol=2e-2)
    found = encoded(MfccOptions(**options, coefficients=5))[1]
    np.testing.assert_allclose(found, energies @ cosine_transform(12, 5), atol=5e-2)


def test_a_tone_is_loudest_in_its_band() -> None:
    energies = encoded(LogMelOptions(rate=8000, bands=12, normalize="none"))
    assert energies[0].mean(axis=0).argmax() < energies[1].mean(axis=0).argmax()


def test_standard_is_over_the_training_recordings_and_recording_over_each() -> None:
    x = encoded(LogMelOptions(rate=8000, bands=12))
    np.testing.assert_allclose(x.mean(axis=(0, 1)), 0, atol=1e-4)
    np.testing.assert_allclose(x.std(axis=(0, 1)), 1, atol=1e-4)
    each = encoded(LogMelOptions(rate=8000, bands=12, normalize="recording"))
    np.testing.assert_allclose(each.mean(axis=1), 0, atol=1e-4)


@pytest.mark.parametrize("normalize", ["standard", "recording", "none"])
def test_silence_and_extreme_options_give_finite_numbers(normalize: Any) -> None:
    files = column_of([HeldFile("a.wav", recording(np.zeros(50)))] * 2)
    for options in (
        LogMelOptions(rate=1000, seconds=0.001, window_ms=1, hop_ms=1, bands=256, normalize=normalize),
        LogMelOptions(rate=96_000, seconds=0.1, low_hz=48_000, high_hz=1, normalize=normalize),
        MfccOptions(normalize=normalize),
    ):
        encoder = options.fit(RECORDINGS, files, scaled=True)
        x = np.zeros((2, *encoder.shape), np.float32)
        encoder.transform(files, x)
        assert np.isfinite(x).all()


def test_a_file_that_cannot_be_decoded_is_named() -> None:
    encoder = WaveformOptions().fit(RECORDINGS, SOUND_FILES, scaled=True)
    with pytest.raises(InvalidFile, match=r"b\.wav is no recording"):
        encoder.transform(column_of([HeldFile("b.wav", b"no")]), np.zeros((1, 1600, 1), np.float32))
    with pytest.raises(WrongValue, match="is no recording that can be read"):
        encoder.parse(b"no")
    with pytest.raises(WrongValue, match="give a file in base64"):
        encoder.parse(["no"])
