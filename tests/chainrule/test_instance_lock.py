"""The lock of a data folder, and free ports."""

import os
import socket
from pathlib import Path

import pytest

from chainrule.instance_lock import CannotStart, free_port, locked_folder


def test_folder_is_created_locked_and_released(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    with locked_folder(folder):
        with pytest.raises(CannotStart, match=f"process {os.getpid()}"), locked_folder(folder):
            pass
        assert folder.is_dir()
    with locked_folder(folder):
        pass


def test_folder_that_cannot_be_created_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CannotStart, match="cannot be used"), locked_folder(tmp_path / "file" / "data"):
        pass


def test_port_in_use_is_reported_and_zero_finds_a_free_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CannotStart, match=f"port {port} on 127.0.0.1 is in use: set CHAINRULE_PORT"):
            free_port("127.0.0.1", port)
    assert free_port("127.0.0.1", 0) > 0


def test_foreign_address_is_reported() -> None:
    with pytest.raises(CannotStart, match=r"cannot listen on 192\.0\.2\.1"):
        free_port("192.0.2.1", 8000)
