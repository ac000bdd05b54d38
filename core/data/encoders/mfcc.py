"""Recordings as mel-frequency cepstral coefficients."""

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import Ge, Le
from numpy.typing import NDArray

from core.data.encoders.spectrum import Spectrum, SpectrumOptions
from core.data.files.spectra import cosine_transform
from core.data.schema import Column


@dataclass(frozen=True, slots=True, kw_only=True)
class MfccOptions(SpectrumOptions):
    """Recordings: mel-frequency cepstral coefficients (frames, coefficients), one row for each window.

    c_t(j) = s_j √(2 / B) Σ_b e_t(b) cos(π j (b + ½) / B), the orthonormal discrete cosine transform (DCT-II) of the B
    energies that `log_mel` has, with s_0 = √½ and s_j = 1 for j > 0 (Davis and Mermelstein 1980).
    """

    type: Literal["mfcc"] = "mfcc"
    """`mfcc`."""

    coefficients: Annotated[int, Ge(1), Le(256)] = 13
    """The number of coefficients, at most that of the bands."""

    def shape_for(self, column: Column) -> tuple[int, ...]:
        """Return `(frames, coefficients)`."""
        return (self.frames(column), min(self.coefficients, self.bands))

    def fit(self, column: Column, values: NDArray[Any], *, scaled: bool) -> "Mfcc":
        """Return the encoder for files `(rows,)`; only `standard` decodes some of them."""
        return Mfcc(**self.fields(column), coefficients=min(self.coefficients, self.bands)).normalized(
            self.normalize, values
        )


@dataclass(frozen=True, kw_only=True)
class Mfcc(Spectrum):
    """A column of recordings: cepstral coefficients."""

    type: Literal["mfcc"] = "mfcc"
    """`mfcc`."""

    coefficients: int
    """The number of coefficients."""

    @property
    def width(self) -> int:
        """The numbers of each window."""
        return self.coefficients

    def numbers(self, energies: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the numbers of log-mel energies `(frames, bands)`."""
        return energies @ self._cosines

    @cached_property
    def _cosines(self) -> NDArray[np.float32]:
        return cosine_transform(self.bands, self.coefficients)
