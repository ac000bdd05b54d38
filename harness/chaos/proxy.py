"""A TCP proxy on a free port of this machine, which injects network faults."""

import contextlib
import socket
import threading
import time
from enum import Enum

COMMIT = b"COMMIT"

Pair = tuple[socket.socket, socket.socket]
"""A client's end and the server's."""


class State(Enum):
    """Treatment of connections by the proxy."""

    OPEN = "data passes"
    CUT = "new connections are refused, existing ones are reset"
    SILENT = "connections are accepted, but no data passes"


class Proxy:
    """Forwards connections to a port of this machine."""

    def __init__(self, upstream: int) -> None:
        self.delay = 0.0
        """Seconds by which each answer is delayed."""
        self._upstream = upstream
        self._state = State.OPEN
        self._armed = False
        self._pairs: set[Pair] = set()
        self._dropped: set[Pair] = set()
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()

    def set(self, state: State) -> None:
        """Switch to a state."""
        with self._changed:
            self._state = state
            self._changed.notify_all()
        if state is State.CUT:
            self.reset()

    def reset(self) -> None:
        """Reset all existing connections."""
        with self._changed:
            pairs = list(self._pairs)
            self._dropped.clear()
            self._changed.notify_all()
        for pair in pairs:
            _close(*pair)

    def drop_silently(self) -> None:
        """Forward no more data of the existing connections, without closing them, as a firewall does."""
        with self._lock:
            self._dropped |= self._pairs

    def cut_next_commit(self) -> None:
        """Forward the next COMMIT, and cut its connection before the answer."""
        self._armed = True

    @property
    def armed(self) -> bool:
        """True while the proxy waits for that COMMIT."""
        return self._armed

    def open(self) -> None:
        """Undo all faults."""
        self._armed = False
        self.delay = 0.0
        self.set(State.OPEN)

    def close(self) -> None:
        """Stop the proxy."""
        self._listener.close()
        self.set(State.CUT)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._connect, args=[client], daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        if self._state is State.CUT:
            _close(client)
            return
        self._wait_until_open(None)
        try:
            server = socket.create_connection(("127.0.0.1", self._upstream), timeout=5)
        except OSError:
            _close(client)
            return
        server.settimeout(None)
        pair = client, server
        with self._lock:
            self._pairs.add(pair)
        cut = threading.Event()
        threading.Thread(target=self._forward_requests, args=[pair, cut], daemon=True).start()
        self._forward_answers(pair, cut)
        _close(*pair)
        with self._lock:
            self._pairs.discard(pair)
            self._dropped.discard(pair)

    def _forward_requests(self, pair: Pair, cut: threading.Event) -> None:
        client, server = pair
        with contextlib.suppress(OSError):
            while data := client.recv(65_536):
                self._wait_until_open(pair)
                if self._armed and COMMIT in data:
                    self._armed = False
                    cut.set()
                server.sendall(data)
        _close(*pair)

    def _forward_answers(self, pair: Pair, cut: threading.Event) -> None:
        client, server = pair
        with contextlib.suppress(OSError):
            while data := server.recv(65_536):
                if cut.is_set():
                    return
                self._wait_until_open(pair)
                if self.delay:
                    time.sleep(self.delay)
                client.sendall(data)

    def _wait_until_open(self, pair: Pair | None) -> None:
        """Wait until data of this connection may pass."""
        with self._changed:
            self._changed.wait_for(lambda: self._state is not State.SILENT and pair not in self._dropped)


def _close(*sockets: socket.socket) -> None:
    for one in sockets:
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()
