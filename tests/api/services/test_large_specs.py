"""The module that checks large specs in processes: what it loads, since each new process loads it first."""

import subprocess
import sys

import pytest

SLOW = ["celery", "fastapi", "redis", "sqlalchemy", "starlette", "uvicorn"]


@pytest.mark.parametrize("module", ["api.services.large_specs", "api.services.compute_process"])
def test_process_loads_nothing_of_the_server(module: str) -> None:
    program = f"import sys, {module}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert module in loaded
    assert [name for name in SLOW if name in loaded] == []
