"""Recordings as their samples."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from core.data.encoders.sound import Sound, SoundOptions
from core.data.schema import Column

SILENCE = 1e-8


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveformOptions(SoundOptions):
    """Recordings: samples (samples, 1) from −1 to 1, the mean of all channels at one rate.

    With `normalize` of `peak`, each is divided by its largest absolute sample.
    """

    type: Literal["waveform"] = "waveform"
    """`waveform`."""

    normalize: Literal["none", "peak"] = "none"
    """`peak` makes all recordings equally loud."""

    def shape_for(self, column: Column) -> tuple[int, ...]:
        """Return `(samples, 1)`."""
        return (self.samples(column), 1)

    def fit(self, column: Column, values: NDArray[Any], *, scaled: bool) -> "Waveform":
        """Return the encoder; it does not depend on the values."""
        return Waveform(
            column=column.name,
            rate=self.rate,
            samples=self.samples(column),
            align=self.align,
            peak=self.normalize == "peak",
        )


@dataclass(frozen=True, kw_only=True)
class Waveform(Sound):
    """A column of recordings: their samples."""

    type: Literal["waveform"] = "waveform"
    """`waveform`."""

    peak: bool
    """Whether each recording is divided by its largest absolute sample."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one encoded recording: `(samples, 1)`."""
        return (self.samples, 1)

    def encoded(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return samples `(samples,)` as `(samples, 1)`."""
        largest = float(np.abs(samples).max()) if self.peak else 1.0
        return (samples / np.float32(largest if largest > SILENCE else 1.0))[:, None]
