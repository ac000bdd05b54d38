"""How OpenBLAS waits and multiplies: said in its environment, which it reads once, when NumPy is first imported."""

import os
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from itertools import takewhile
from pathlib import Path

THREAD_TIMEOUT = 22
"""Where a thread of OpenBLAS finds nothing to do, it sleeps after 2²² ticks of the processor's clock, some 1.5 ms.

By itself it goes on asking for 2²⁸. A product of 512 × 512 by two threads then cost 107 ms of processor time, taken
from the jobs beside it; with this 4 to 17. With less it slept in the midst of a step, while Adam steps, and was often
woken on the core that was busy: with 2¹⁹ a net of 784-256-128-10 took 2.8 to 4.6 ms a step instead of 1.3.
"""

PROCESSOR = Path("/proc/cpuinfo")


def set_up(environment: MutableMapping[str, str] = os.environ, processor: Path = PROCESSOR) -> None:
    """Say in the `environment` what fits the `processor`; what stands there already stays."""
    environment.setdefault("OPENBLAS_THREAD_TIMEOUT", str(THREAD_TIMEOUT))
    with suppress(OSError):
        if _halves_wide_vectors(_first_core(processor)):
            environment.setdefault("OPENBLAS_CORETYPE", "Zen")


def _halves_wide_vectors(core: Mapping[str, list[str]]) -> bool:
    """Whether it is one of a Zen 4, which takes AVX-512 in two halves.

    OpenBLAS's kernels for AVX2 are the faster ones there: 200 to 209 GFLOP/s in two threads instead of 180 to 197, and
    steps of convolutional and recurrent nets in 0.93 to 0.96 of the time.
    """
    family = core.get("vendor_id", []) + core.get("cpu family", [])
    return family == ["AuthenticAMD", "25"] and "avx512f" in core.get("flags", [])


def _first_core(processor: Path) -> dict[str, list[str]]:
    """The words that the kernel tells of the first core, by name; there may be hundreds more."""
    with processor.open(encoding="utf-8", errors="replace") as lines:
        told = (line.partition(":") for line in takewhile(str.strip, lines))
        return {name.strip(): fact.split() for name, _, fact in told}
