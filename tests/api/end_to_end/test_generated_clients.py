"""Clients that are generated from the OpenAPI document, for Python and for TypeScript, train y = 2x.

The generators have other requirements than this project, so each is installed once into a folder of its own.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from harness.backends import skip_or_fail
from harness.processes import service as running_service

PROGRAMS = Path(__file__).parent / "clients"
TOOLS = Path(sys.prefix) / "clients"
PYTHON_TOOL = "openapi-python-client==0.29.1"
NODE_TOOLS = ("openapi-typescript@7.13.0", "openapi-fetch@0.17.0", "typescript@5.9.3")


def config(document: dict[str, Any]) -> dict[str, Any]:
    """Return the generator's settings: it knows no media types but JSON, forms and octets; others are octets to it."""
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    contents = [operation.get("requestBody", {}).get("content", {}) for operation in operations]
    contents += [answer.get("content", {}) for operation in operations for answer in operation["responses"].values()]
    others = {kind for content in contents for kind in content} - {"application/json", "multipart/form-data"}
    others = {kind for kind in others if not kind.endswith("+json") and kind != "text/event-stream"}
    return {"post_hooks": [], "content_type_overrides": dict.fromkeys(sorted(others), "application/octet-stream")}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a service with a worker and yield its address."""
    with running_service(tmp_path_factory.mktemp("clients"), workers=1) as running:
        yield running.url


@pytest.fixture(scope="module")
def document(service: str) -> dict[str, Any]:
    with urlopen(f"{service}/openapi.json") as answer:
        return dict(json.load(answer))


def run(*command: str | Path, folder: Path, **environment: str) -> str:
    """Run a program in this folder and return its output; fail with all of its output if it fails."""
    done = subprocess.run(
        [*map(str, command)], cwd=folder, env=os.environ | environment,
        check=False, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def installed(name: str, requirement: str, *command: str) -> Path:
    """Return the folder in which this command has installed a tool; skip the test where it cannot."""
    folder = TOOLS / name
    if (folder / "complete").exists():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        run(*command, folder=folder)
    except (AssertionError, OSError) as error:
        skip_or_fail(requirement, error)
    (folder / "complete").touch()
    return folder


def test_python_client_trains_and_predicts(service: str, document: dict[str, Any], tmp_path: Path) -> None:
    uv = str(Path(sys.prefix) / "bin" / "uv")
    tool = installed("python", "openapi-python-client", uv, "pip", "install", "--target", ".", PYTHON_TOOL)
    (tmp_path / "config.json").write_text(json.dumps(config(document)))
    (tmp_path / "openapi.json").write_text(json.dumps(document))
    run(
        sys.executable, "-m", "openapi_python_client", "generate", "--path", "openapi.json",
        "--config", "config.json", "--fail-on-warning", "--meta", "none", "--output-path", "chainrule_client",
        folder=tmp_path, PYTHONPATH=str(tool),
    )  # fmt: skip
    generated = {file.stem for file in tmp_path.glob("chainrule_client/api/*/*.py")} - {"__init__"}
    assert generated == {
        operation["operationId"] for methods in document["paths"].values() for operation in methods.values()
    }
    path = os.pathsep.join(map(str, (tmp_path, tool)))
    require_trained(run(sys.executable, PROGRAMS / "program.py", service, folder=tmp_path, PYTHONPATH=path))


def test_typescript_client_trains_and_predicts(service: str, document: dict[str, Any], tmp_path: Path) -> None:
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        skip_or_fail("node", "there is no node or no npm (apt-get install nodejs npm)")
    tool = installed("typescript", "node", npm, "install", "--no-audit", "--no-fund", "--no-package-lock", *NODE_TOOLS)
    (tmp_path / "node_modules").symlink_to(tool / "node_modules")
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "openapi.json").write_text(json.dumps(document))
    shutil.copy(PROGRAMS / "program.ts", tmp_path)
    binaries = tool / "node_modules" / ".bin"
    # Properties with a default may be left out of a request.
    run(
        binaries / "openapi-typescript",
        "openapi.json",
        "-o",
        "schema.d.ts",
        "--default-non-nullable=false",
        folder=tmp_path,
    )
    run(binaries / "tsc", "--strict", "--target", "es2022", "--module", "nodenext", "program.ts", folder=tmp_path)
    require_trained(run(node, "program.js", service, folder=tmp_path))


def require_trained(output: str) -> None:
    """Fail unless a program's job has ended well and its model doubles 6."""
    found = json.loads(output)
    assert found["status"] == "succeeded"
    assert found["listed"][:1] == [found["id"]]
    assert found["value"] == pytest.approx(12, abs=0.05)
    assert found["code"] == "wrong_state"
    assert "event: metric" in found["events"]
    assert '"status":"succeeded"' in found["events"]
