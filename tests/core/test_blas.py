"""What OpenBLAS is told before NumPy is imported."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.blas import THREAD_TIMEOUT, set_up

ZEN_4 = "vendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t\t: 17\nflags\t\t: fpu avx2 avx512f\n"
OTHERS = {
    "Zen 3": ZEN_4.replace(" avx512f", ""),
    "Zen 5": ZEN_4.replace("25", "26"),
    "Sapphire Rapids": ZEN_4.replace("AuthenticAMD", "GenuineIntel"),
    "ARM": "processor\t: 0\nBogoMIPS\t: 243.75\nFeatures\t: fp asimd\n",
    "nothing": "",
}
TIMEOUT = {"OPENBLAS_THREAD_TIMEOUT": str(THREAD_TIMEOUT)}


def said(path: Path, processor: str, **before: str) -> dict[str, str]:
    (path / "cpuinfo").write_text(f"{processor}\n\n{processor.replace('AuthenticAMD', 'another')}", encoding="utf-8")
    set_up(before, path / "cpuinfo")
    return before


def test_zen_4_takes_the_kernels_for_avx2(tmp_path: Path) -> None:
    assert said(tmp_path, ZEN_4) == {**TIMEOUT, "OPENBLAS_CORETYPE": "Zen"}


@pytest.mark.parametrize("name", OTHERS)
def test_another_processor_keeps_the_choice_of_openblas(tmp_path: Path, name: str) -> None:
    assert said(tmp_path, OTHERS[name]) == TIMEOUT


def test_without_a_description_the_threads_still_sleep(tmp_path: Path) -> None:
    environment: dict[str, str] = {}
    set_up(environment, tmp_path / "none")
    assert environment == TIMEOUT


def test_what_an_operator_said_stays(tmp_path: Path) -> None:
    operator = {"OPENBLAS_THREAD_TIMEOUT": "26", "OPENBLAS_CORETYPE": "SkylakeX"}
    assert said(tmp_path, ZEN_4, **operator) == operator


@pytest.mark.parametrize("module", ["api.app", "worker.app", "core.nn.training.learner", "benchmarks.steps"])
def test_it_is_said_before_numpy_is_imported(module: str) -> None:
    program = f"""
import os, sys

class Watch:
    def find_spec(self, name, *_):
        if name == "numpy":
            print(os.environ.get("OPENBLAS_THREAD_TIMEOUT"))

sys.meta_path.insert(0, Watch())
import {module}
"""
    environment = {name: said for name, said in os.environ.items() if not name.startswith("OPENBLAS")}
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)
    assert ran.stdout == f"{THREAD_TIMEOUT}\n"
