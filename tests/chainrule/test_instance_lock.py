import os
import socket
from pathlib import Path

import pytest

from chainrule.instance_lock import CannotStart, claimed, free_port


def test_a_folder_is_made_held_and_let_go(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    with claimed(folder):
        with pytest.raises(CannotStart, match=f"process {os.getpid()}"), claimed(folder):
            pass
        assert folder.is_dir()
    with claimed(folder):
        pass


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CannotStart, match="cannot be used"), claimed(tmp_path / "file" / "data"):
        pass


def test_a_taken_port_is_told_and_zero_finds_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CannotStart, match=f"port {port} on 127.0.0.1 is in use: set CHAINRULE_PORT"):
            free_port("127.0.0.1", port)
    assert free_port("127.0.0.1", 0) > 0


def test_an_address_that_is_not_here_is_told() -> None:
    with pytest.raises(CannotStart, match=r"nothing can listen on 192\.0\.2\.1"):
        free_port("192.0.2.1", 8000)
