"""The app."""

import json
from pathlib import Path

from api.app import create_app
from core.settings import Settings
from tests.api.conftest import quiet


def test_two_apps_share_no_state(tmp_path: Path) -> None:
    first, second = (create_app(Settings(**quiet(tmp_path / name))) for name in "ab")
    assert first.state.registry is not second.state.registry
    assert json.dumps(first.openapi()) == json.dumps(second.openapi())
