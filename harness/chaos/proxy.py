"""A cable that can be cut: a TCP proxy on a free port of this machine, with the faults that a network has."""

import contextlib
import socket
import threading
import time
from enum import Enum

COMMIT = b"COMMIT"

Pair = tuple[socket.socket, socket.socket]
"""A client's end and the server's."""


class State(Enum):
    """What becomes of bytes."""

    OPEN = "they pass"
    CUT = "connections are refused, and those there were are reset"
    SILENT = "connections are accepted, and nothing ever comes"


class Proxy:
    """Passes connections on to a port of this machine until it is told otherwise."""

    def __init__(self, upstream: int) -> None:
        self.delay = 0.0
        """Seconds that each answer is held back."""
        self._upstream = upstream
        self._state = State.OPEN
        self._armed = False
        self._pairs: set[Pair] = set()
        self._forgotten: set[Pair] = set()
        self._lock = threading.Lock()
        self._moved = threading.Condition(self._lock)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()

    def set(self, state: State) -> None:
        """Have it so from now on."""
        with self._moved:
            self._state = state
            self._moved.notify_all()
        if state is State.CUT:
            self.reset()

    def reset(self) -> None:
        """Cut all connections that there are."""
        with self._moved:
            pairs = list(self._pairs)
            self._forgotten.clear()
            self._moved.notify_all()
        for pair in pairs:
            _close(*pair)

    def forget(self) -> None:
        """Pass on nothing more of the connections that there are, and say so to nobody, as a firewall does."""
        with self._lock:
            self._forgotten |= self._pairs

    def cut_next_commit(self) -> None:
        """Let the next COMMIT through and cut its connection before the answer passes."""
        self._armed = True

    @property
    def armed(self) -> bool:
        """Whether that COMMIT has not come yet."""
        return self._armed

    def open(self) -> None:
        """Heal everything."""
        self._armed = False
        self.delay = 0.0
        self.set(State.OPEN)

    def close(self) -> None:
        """End it."""
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
        self._pass(None)
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
        threading.Thread(target=self._asks, args=[pair, cut], daemon=True).start()
        self._answers(pair, cut)
        _close(*pair)
        with self._lock:
            self._pairs.discard(pair)
            self._forgotten.discard(pair)

    def _asks(self, pair: Pair, cut: threading.Event) -> None:
        client, server = pair
        with contextlib.suppress(OSError):
            while data := client.recv(65_536):
                self._pass(pair)
                if self._armed and COMMIT in data:
                    self._armed = False
                    cut.set()
                server.sendall(data)
        _close(*pair)

    def _answers(self, pair: Pair, cut: threading.Event) -> None:
        client, server = pair
        with contextlib.suppress(OSError):
            while data := server.recv(65_536):
                if cut.is_set():
                    return
                self._pass(pair)
                if self.delay:
                    time.sleep(self.delay)
                client.sendall(data)

    def _pass(self, pair: Pair | None) -> None:
        """Wait until bytes of this connection pass."""
        with self._moved:
            self._moved.wait_for(lambda: self._state is not State.SILENT and pair not in self._forgotten)


def _close(*sockets: socket.socket) -> None:
    for one in sockets:
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()
