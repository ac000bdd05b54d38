"""What the encoders of spectra share: windows, mel bands, and normalization."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, Any, Literal, Self

import numpy as np
from annotated_types import Ge, Gt, Le
from numpy.typing import NDArray

from core.data.encoders.sound import SMALLEST_STD, Sound, SoundOptions
from core.data.files.recordings import samples_in
from core.data.files.spectra import frame_count, log_mel, mel_filters, power_spectra
from core.data.schema import Column

Milliseconds = Annotated[float, Ge(1), Le(1000)]
Hertz = Annotated[float, Ge(0), Le(48_000)]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpectrumOptions(SoundOptions):
    """The options that all encoders of spectra have."""

    window_ms: Milliseconds = 25.0
    """The length of each window in milliseconds."""

    hop_ms: Milliseconds = 10.0
    """Milliseconds from the beginning of a window to that of the next one."""

    bands: Annotated[int, Ge(2), Le(256)] = 40
    """The number of mel bands."""

    low_hz: Hertz = 20.0
    """The lowest frequency of the bands."""

    high_hz: Annotated[float, Gt(0), Le(48_000)] | None = None
    """The highest frequency of the bands, by default half of `rate`."""

    normalize: Literal["standard", "recording", "none"] = "standard"
    """`standard` for mean 0 and standard deviation 1 of each number over the training recordings, `recording` over each
    recording by itself, or `none`."""

    def high(self) -> float:
        """Return the highest frequency of the bands: at most half of the rate, and above the lowest."""
        return min(self.high_hz or self.rate / 2, self.rate / 2)

    def low(self) -> float:
        """Return the lowest frequency of the bands."""
        return min(self.low_hz, self.high() / 2)

    def frames(self, column: Column) -> int:
        """Return the number of windows."""
        return frame_count(self.samples(column), self.window(), self.hop())

    def window(self) -> int:
        """Return the samples of a window."""
        return max(2, samples_in(self.window_ms / 1000, self.rate))

    def hop(self) -> int:
        """Return the samples between the beginnings of windows."""
        return samples_in(self.hop_ms / 1000, self.rate)

    def fields(self, column: Column) -> dict[str, Any]:
        """Return the fields of an encoder that is not normalized yet."""
        return {
            "column": column.name,
            "rate": self.rate,
            "samples": self.samples(column),
            "align": self.align,
            "window": self.window(),
            "hop": self.hop(),
            "bands": self.bands,
            "low": self.low(),
            "high": self.high(),
            "each": False,
            "mean": (),
            "std": (),
        }


@dataclass(frozen=True, kw_only=True)
class Spectrum(Sound):
    """A column of recordings: a row of numbers for each window."""

    window: int
    """Samples of each window."""

    hop: int
    """Samples from the beginning of a window to that of the next one."""

    bands: int
    """The number of mel bands."""

    low: float
    """The lowest frequency in Hz."""

    high: float
    """The highest frequency in Hz."""

    each: bool
    """Whether each recording is normalized by itself."""

    mean: tuple[float, ...]
    """Subtracted from the numbers of each window; empty where nothing is."""

    std: tuple[float, ...]
    """Divides the numbers of each window; empty where nothing does."""

    @property
    def width(self) -> int:
        """The numbers of each window."""
        raise NotImplementedError

    def numbers(self, energies: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the numbers `(frames, width)` of log-mel energies `(frames, bands)`."""
        raise NotImplementedError

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one encoded recording: `(frames, width)`."""
        return (frame_count(self.samples, self.window, self.hop), self.width)

    @cached_property
    def _filters(self) -> NDArray[np.float32]:
        return mel_filters(self.rate, self.window, self.bands, self.low, self.high)

    def encoded(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return samples `(samples,)` as `(frames, width)`."""
        found = self.numbers(log_mel(power_spectra(samples, self.window, self.hop), self._filters))
        if self.each:
            mean, std = found.mean(axis=0, dtype=np.float64), found.std(axis=0, dtype=np.float64)
            return np.asarray((found - mean) / np.where(std < SMALLEST_STD, 1, std), np.float32)
        if self.mean:
            return np.asarray((found - np.array(self.mean, np.float32)) / np.array(self.std, np.float32), np.float32)
        return found

    def normalized(self, how: str, values: NDArray[Any]) -> Self:
        """Return the encoder with the normalization that a spec asks for, fitted to files `(rows,)`."""
        if how == "standard":
            mean, std = self.statistics(values)
            return replace(self, mean=mean, std=std)
        return replace(self, each=how == "recording")
