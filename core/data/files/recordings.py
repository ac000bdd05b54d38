"""Recordings: opened only in the named formats, bounded in samples, mixed to one channel, and brought to one rate."""

import math
from io import BytesIO

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

FORMATS = ("WAV", "WAVEX", "RF64", "FLAC", "OGG", "MP3")
"""The formats that may be read, in libsndfile's words; a file of another one is refused, whatever its name."""

MAX_SAMPLES = 2**25
"""Samples of all channels of a recording, for at most some 300 MB: six minutes at 44.1 kHz in stereo."""
MAX_RATE = 768_000
UNKNOWN_SIZE = frozenset([0, 2**32 - 1])
"""Sizes in the header of a WAV file that was written as a stream."""


class NotARecording(ValueError):
    """{message}."""


def read_recording(content: bytes, rate: int) -> NDArray[np.float32]:
    """Return the samples `(samples,)` of a recording at `rate` Hz, from −1 to 1, the mean of all channels.

    Another rate is changed by band-limited interpolation (soxr's high quality). Raises `NotARecording`.
    """
    samples, own_rate = _read(content)
    return samples if own_rate == rate else np.asarray(soxr.resample(samples, own_rate, rate), np.float32)


def measure_recording(content: bytes) -> float:
    """Return the seconds of a recording; all of it is decoded once. Raises `NotARecording`."""
    samples, rate = _read(content)
    return len(samples) / rate


def recording_header(content: bytes) -> tuple[float, int, int]:
    """Return the seconds, the rate in Hz and the channels that a recording's header says; an estimate for MP3.

    Raises `NotARecording`.
    """
    try:
        with soundfile.SoundFile(BytesIO(content)) as file:
            _check(file)
            return file.frames / file.samplerate, file.samplerate, file.channels
    except soundfile.SoundFileError as error:
        raise NotARecording(f"is no recording that can be read ({error}): save it as WAV or FLAC") from error


def _read(content: bytes) -> tuple[NDArray[np.float32], int]:
    """Return the samples of a recording `(samples,)`, and their rate in Hz."""
    _require_whole(content)
    try:
        with soundfile.SoundFile(BytesIO(content)) as file:
            _check(file)
            most = MAX_SAMPLES // file.channels
            samples = file.read(most + 1, dtype="float32", always_2d=True)
            rate = file.samplerate
    except (NotARecording, MemoryError):
        raise
    except Exception as error:  # soundfile and libsndfile have errors of several kinds
        reason = str(error).rpartition(": ")[2][:100]
        raise NotARecording(f"is no recording that can be read ({reason}): save it as WAV or FLAC") from error
    if len(samples) > most:
        raise NotARecording(f"has more than {MAX_SAMPLES:,} samples: cut it into shorter recordings")
    if not len(samples):
        raise NotARecording("has no samples: leave it out")
    if not np.isfinite(samples).all():
        raise NotARecording("has samples that are no finite numbers: save it again")
    return samples.mean(axis=1), rate


def _check(file: soundfile.SoundFile) -> None:
    if file.format not in FORMATS:
        raise NotARecording(f"is in the format {file.format}: save it as WAV, FLAC, OGG or MP3")
    if not 1 <= file.samplerate <= MAX_RATE:
        raise NotARecording(f"has {file.samplerate:,} samples a second: give 1 to {MAX_RATE:,}")
    if file.frames * file.channels > MAX_SAMPLES and file.format != "MP3":  # of which the number is an estimate
        message = f"has {file.frames:,} samples of {file.channels} channels, more than {MAX_SAMPLES:,} together"
        raise NotARecording(f"{message}: cut it into shorter recordings")


def _require_whole(content: bytes) -> None:
    """Raise `NotARecording` for a WAV file with fewer bytes than its header says; libsndfile reads it all the same."""
    if content[:4] == b"RIFF" and content[8:12] == b"WAVE":
        size = int.from_bytes(content[4:8], "little")
        if size not in UNKNOWN_SIZE and size + 8 > len(content) + 1:
            raise NotARecording(f"is cut off, it has {len(content):,} bytes of {size + 8:,}: send the whole file")


def aligned(samples: NDArray[np.float32], length: int, align: str) -> NDArray[np.float32]:
    """Return `length` samples: the first of them, or with `center` those in the middle; zeros where there are none."""
    surplus = len(samples) - length
    before = surplus // 2 if align == "center" else 0
    if surplus >= 0:
        return samples[before : before + length]
    return np.pad(samples, (-before, length - len(samples) + before))


def samples_in(seconds: float, rate: int) -> int:
    """Return the number of samples in a time, at least 1."""
    return max(1, math.floor(seconds * rate + 0.5))
