"""A PostgreSQL server for one test, which may restart it: Debian's binaries on a free port, never as root."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.backends import skip_or_fail
from harness.processes import free_port

BINARIES = Path("/usr/lib/postgresql")
USER = "postgres"


@dataclass(frozen=True)
class Server:
    """A PostgreSQL server with its data in `folder`."""

    binaries: Path
    folder: Path
    port: int

    @property
    def url(self) -> str:
        """The address of the default database."""
        return f"postgresql://{USER}@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Start the server and wait until it accepts connections."""
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self.folder}"
        self._control("start", "-l", str(self.folder / "log"), "-o", options)

    def stop(self, mode: str = "fast") -> None:
        """Stop the server: `fast` closes all connections, `immediate` is a crash."""
        self._control("stop", "-m", mode)

    def restart(self, mode: str) -> None:
        """Stop the server in this mode and start it again."""
        self.stop(mode)
        self.start()

    def _control(self, *arguments: str) -> None:
        run(self.binaries / "pg_ctl", "-s", "-w", "-t", "60", "-D", self.folder / "data", *arguments)


@contextmanager
def postgres_server() -> Iterator[Server]:
    """Start a new, empty server, and remove it with its data afterwards."""
    binaries = max(BINARIES.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]), default=None)
    if binaries is None:
        skip_or_fail("postgres", f"no server in {BINARIES}")
    folder = Path(tempfile.mkdtemp(prefix="chainrule-postgres-"))
    if os.geteuid() == 0:
        shutil.chown(folder, USER, USER)
    server = Server(binaries.parent, folder, free_port())
    try:
        run(server.binaries / "initdb", "-U", USER, "-A", "trust", "-N", "-D", folder / "data")
        server.start()
        try:
            yield server
        finally:
            server.stop("immediate")
    finally:
        shutil.rmtree(folder)


def run(*command: str | Path) -> None:
    """Run a command of the server; as its user if this process runs as root."""
    prefix = ["setpriv", "--reuid", USER, "--regid", USER, "--clear-groups"] if os.geteuid() == 0 else []
    subprocess.run([*prefix, *map(str, command)], check=True, stdout=subprocess.DEVNULL, cwd="/", timeout=120)
