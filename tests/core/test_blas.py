"""OpenBLAS's variables: which are set for which processor, and by whom."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.blas import THREAD_TIMEOUT, configure_openblas

ZEN_4 = "vendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t\t: 17\nflags\t\t: fpu avx2 avx512f\n"
OTHERS = {
    "Zen 3": ZEN_4.replace(" avx512f", ""),
    "Zen 5": ZEN_4.replace("25", "26"),
    "Sapphire Rapids": ZEN_4.replace("AuthenticAMD", "GenuineIntel"),
    "ARM": "processor\t: 0\nBogoMIPS\t: 243.75\nFeatures\t: fp asimd\n",
    "nothing": "",
}
TIMEOUT = {"OPENBLAS_THREAD_TIMEOUT": str(THREAD_TIMEOUT)}


def configured(path: Path, processor: str, **before: str) -> dict[str, str]:
    """Return the variables after those of `before` were there and the first core was this one."""
    (path / "cpuinfo").write_text(f"{processor}\n\n{processor.replace('AuthenticAMD', 'another')}", encoding="utf-8")
    configure_openblas(before, path / "cpuinfo")
    return before


def test_zen_4_gets_the_avx2_kernels(tmp_path: Path) -> None:
    assert configured(tmp_path, ZEN_4) == {**TIMEOUT, "OPENBLAS_CORETYPE": "Zen"}


@pytest.mark.parametrize("name", OTHERS)
def test_other_processors_keep_openblas_own_choice(tmp_path: Path, name: str) -> None:
    assert configured(tmp_path, OTHERS[name]) == TIMEOUT


def test_missing_cpuinfo_still_sets_the_timeout(tmp_path: Path) -> None:
    environment: dict[str, str] = {}
    configure_openblas(environment, tmp_path / "none")
    assert environment == TIMEOUT


def test_variables_that_are_set_stay(tmp_path: Path) -> None:
    operator = {"OPENBLAS_THREAD_TIMEOUT": "26", "OPENBLAS_CORETYPE": "SkylakeX"}
    assert configured(tmp_path, ZEN_4, **operator) == operator


WATCH_NUMPY = """
import os, sys

class Watch:
    def find_spec(self, name, *_):
        if name == "numpy":
            print(os.environ.get("OPENBLAS_THREAD_TIMEOUT"))

sys.meta_path.insert(0, Watch())
"""


def printed(program: str) -> str:
    """Return what a program prints that is run without OpenBLAS variables."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OPENBLAS")}
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment
    ).stdout


@pytest.mark.parametrize("modules", ["chainrule.cli, api.app", "chainrule.cli, worker.app", "benchmarks.steps"])
def test_entry_points_set_the_variables_before_numpy_is_imported(modules: str) -> None:
    assert printed(f"{WATCH_NUMPY}\nimport {modules}") == f"{THREAD_TIMEOUT}\n"


def test_importing_the_core_changes_no_variable() -> None:
    program = (
        "import os, threadpoolctl; before = dict(os.environ); import core.nn.training.learner"  # it sets one itself
    )
    assert printed(f"{program}; print(dict(os.environ) == before)") == "True\n"
