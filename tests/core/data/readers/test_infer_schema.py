"""Tests of core/data/readers/infer_schema.py; tests/api/services runs it as the API does."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from core.data.readers import READERS
from core.data.readers.infer_schema import __name__ as program
from core.data.schema import Limits, Schema
from tests.core.data.readers.test_readers import FILES, a_reader


def answer_for(path: Path, word: str, **bounds: Any) -> dict[str, Any]:
    request = {
        "path": str(path),
        "format": word,
        "options": a_reader(word).options(),
        "types": {},
        "limits": {},
        "bounds": {"seconds": 60, "bytes": 2**30, **bounds},
    }
    text = json.dumps(request)
    return dict(json.loads(subprocess.check_output([sys.executable, "-m", program], input=text, text=True)))


@pytest.mark.parametrize("word", READERS)
def test_answer_is_the_schema(tmp_path: Path, word: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(FILES[word])
    found = Schema.from_json(answer_for(path, word)["schema"])
    assert found == a_reader(word).infer_schema(path, {}, Limits())


def test_answer_for_an_invalid_file_is_the_message(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"")
    assert answer_for(path, "csv") == {"invalid": "the file is empty: it needs a row of names and rows of values"}


def test_limits_of_the_process_are_set() -> None:
    code = """
import resource
from core.data.readers.infer_schema import Bounds, _set_limits
_set_limits(Bounds(7, 2**30))
print([resource.getrlimit(kind)[0] for kind in (resource.RLIMIT_DATA, resource.RLIMIT_CPU, resource.RLIMIT_FSIZE)])
"""
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == str([2**30, 7, 0])
