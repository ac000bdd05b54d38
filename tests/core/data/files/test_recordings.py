"""Tests of core/data/files/recordings.py: every format, rate and number of channels becomes the same samples."""

from typing import Any

import numpy as np
import pytest

from core.data.files.recordings import NotARecording, aligned, measure_recording, read_recording, samples_in
from tests.core.data.files.media import recording, tone


@pytest.mark.parametrize(
    ("form", "subtype", "tolerance"),
    [
        ("WAV", "PCM_16", 1e-3),
        ("WAV", "PCM_24", 1e-3),
        ("WAV", "PCM_U8", 1e-2),
        ("WAV", "FLOAT", 1e-3),
        ("WAV", "ULAW", 2e-2),
        ("FLAC", "PCM_16", 1e-3),
        ("OGG", "VORBIS", 5e-2),
        ("MP3", "MPEG_LAYER_III", 5e-2),
    ],
)
@pytest.mark.parametrize("rate", [8000, 16_000, 44_100, 48_000])
def test_every_format_and_rate_is_read(form: str, subtype: str, tolerance: float, rate: int) -> None:
    stereo = np.stack([tone(440, rate=rate) * 1.5, tone(440, rate=rate) * 0.5], axis=1)
    content = recording(stereo, rate, form, subtype)
    found = read_recording(content, 16_000)
    assert found.dtype == np.float32
    assert abs(len(found) - 8000) <= 1
    np.testing.assert_allclose(found[1000:7000], tone(440, rate=16_000)[1000:7000], atol=tolerance)
    assert measure_recording(content) == pytest.approx(0.5, abs=1e-3)


FLAC = recording(np.random.default_rng(0).uniform(-1, 1, 8000), form="FLAC")
BAD: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "is no recording that can be read"),
    "text": (b"hello", "is no recording that can be read"),
    "no samples": (recording([]), "has no samples"),
    "cut off wav": (recording(tone(440))[:3000], "is cut off, it has 3,000 bytes of 8,044"),
    "cut off flac": (FLAC[:5000], "is no recording that can be read"),
    "another format": (recording(tone(440), form="AU"), "is in the format AU"),
    "not finite": (recording([0.0, np.nan], subtype="FLOAT"), "no finite numbers"),
    "a bomb": (recording(np.zeros((2**23 + 1, 4)), form="FLAC"), "more than 33,554,432"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_recording_is_refused(name: str) -> None:
    content, message = BAD[name]
    with pytest.raises(NotARecording, match=message):
        read_recording(content, 8000)


def test_wav_written_as_a_stream_is_read() -> None:
    content = bytearray(recording(tone(440)))
    content[4:8] = content[40:44] = b"\xff" * 4
    assert len(read_recording(bytes(content), 8000)) == 4000


def test_one_sample_is_a_recording() -> None:
    assert read_recording(recording([0.5]), 8000).shape == (1,)


@pytest.mark.parametrize(
    ("length", "align", "expected"),
    [
        (2, "start", [1, 2]),
        (2, "center", [2, 3]),
        (6, "start", [1, 2, 3, 4, 0, 0]),
        (6, "center", [0, 1, 2, 3, 4, 0]),
        (5, "center", [0, 1, 2, 3, 4]),
        (4, "center", [1, 2, 3, 4]),
    ],
)
def test_aligned(length: int, align: str, expected: Any) -> None:
    assert aligned(np.arange(1, 5, dtype=np.float32), length, align).tolist() == expected


def test_samples_in() -> None:
    assert [samples_in(seconds, 8000) for seconds in (1.0, 1e-9, 0.00019)] == [8000, 1, 2]
