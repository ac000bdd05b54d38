"""Recordings as log-mel energies."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from core.data.encoders.spectrum import Spectrum, SpectrumOptions
from core.data.schema import Column


@dataclass(frozen=True, slots=True, kw_only=True)
class LogMelOptions(SpectrumOptions):
    """Recordings: the logarithms of energies in mel bands (frames, bands), one row for each window.

    e_t(b) = ln(10⁻¹⁰ + Σ_k |X_t(k)|² h_b(k)), where X_t is the discrete Fourier transform of the t-th window, weighted
    by the periodic Hann function ½ − ½ cos(2πn / window) and filled with zeros to a power of two. The filters h_b are
    triangles of height 1, evenly spaced in mels, m = 2595 log₁₀(1 + f / 700) (Davis and Mermelstein 1980; O'Shaughnessy
    1987). There are 1 + ⌊(samples − window) / hop⌋ windows.
    """

    type: Literal["log_mel"] = "log_mel"
    """`log_mel`."""

    def shape_for(self, column: Column) -> tuple[int, ...]:
        """Return `(frames, bands)`."""
        return (self.frames(column), self.bands)

    def fit(self, column: Column, values: NDArray[Any], *, scaled: bool) -> "LogMel":
        """Return the encoder for files `(rows,)`; only `standard` decodes some of them."""
        return LogMel(**self.fields(column)).normalized(self.normalize, values)


@dataclass(frozen=True, kw_only=True)
class LogMel(Spectrum):
    """A column of recordings: log-mel energies."""

    type: Literal["log_mel"] = "log_mel"
    """`log_mel`."""

    @property
    def width(self) -> int:
        """The numbers of each window."""
        return self.bands

    def numbers(self, energies: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the numbers of log-mel energies `(frames, bands)`."""
        return energies
