"""OpenBLAS's environment variables, which it reads once, when NumPy is first imported. Entry points set them."""

import os
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from itertools import takewhile
from pathlib import Path

THREAD_TIMEOUT = 22
"""An idle OpenBLAS thread sleeps after 2²² ticks of the processor's clock, about 1.5 ms.

The default is 2²⁸: a product of 512 × 512 by two threads then cost 107 ms of processor time, taken from neighbouring
jobs; with this value 4 to 17 ms. With smaller values threads slept in the middle of a step, during Adam's update, and
were often woken on the busy core: with 2¹⁹ a network of 784-256-128-10 took 2.8 to 4.6 ms a step instead of 1.3.
"""

PROCESSOR = Path("/proc/cpuinfo")


def configure_openblas(environment: MutableMapping[str, str] = os.environ, processor: Path = PROCESSOR) -> None:
    """Set in `environment` what fits the `processor`; set variables stay. Call it before NumPy is imported."""
    environment.setdefault("OPENBLAS_THREAD_TIMEOUT", str(THREAD_TIMEOUT))
    with suppress(OSError):
        if _is_zen_4(_first_core(processor)):
            environment.setdefault("OPENBLAS_CORETYPE", "Zen")


def _is_zen_4(core: Mapping[str, list[str]]) -> bool:
    """Whether this is a Zen 4, which executes AVX-512 in two halves.

    OpenBLAS's AVX2 kernels are faster there: 200 to 209 GFLOP/s in two threads instead of 180 to 197, and steps of
    convolutional and recurrent networks in 0.93 to 0.96 of the time.
    """
    family = core.get("vendor_id", []) + core.get("cpu family", [])
    return family == ["AuthenticAMD", "25"] and "avx512f" in core.get("flags", [])


def _first_core(processor: Path) -> dict[str, list[str]]:
    """Return the first core's entries of `/proc/cpuinfo`, each split into words."""
    with processor.open(encoding="utf-8", errors="replace") as lines:
        entries = (line.partition(":") for line in takewhile(str.strip, lines))
        return {name.strip(): value.split() for name, _, value in entries}
