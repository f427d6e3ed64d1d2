"""A bad network for the tests: a TCP proxy on this machine that delays, cuts and corrupts connections."""

import contextlib
import socket
import threading
import time
from dataclasses import dataclass


@dataclass
class Weather:
    """What happens to connections; may change at any time.

    Attributes
    ----------
    delay : float
        Seconds before anything is passed on.
    cut : int
        Connections still to be cut, each after `after` bytes towards the server.
    corrupt : int
        Connections still to be given garbage after `after` bytes towards the server.
    after : int
    """

    delay: float = 0.0
    cut: int = 0
    corrupt: int = 0
    after: int = 0


class Proxy:
    """Passes connections on to a port of this machine, through its `weather`."""

    def __init__(self, target: int) -> None:
        self.weather = Weather()
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._closing = False
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._listener.getsockname()[1])

    def close(self) -> None:
        """Stop listening and drop every connection."""
        self._closing = True
        # Wakes the thread that accepts.
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        self._listener.close()
        with self._lock:
            for one in self._open:
                _drop(one)

    def _accept(self) -> None:
        while not self._closing:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(("127.0.0.1", self._target), timeout=5)
        except OSError:
            _drop(client)
            return
        server.settimeout(None)
        with self._lock:
            self._open |= {client, server}
        threading.Thread(target=self._pass_on, args=(server, client, False), daemon=True).start()
        self._pass_on(client, server, True)

    def _pass_on(self, source: socket.socket, target: socket.socket, upwards: bool) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                time.sleep(self.weather.delay)
                passed += len(data)
                if upwards and passed > self.weather.after:
                    if self._take("cut"):
                        target.sendall(data[: len(data) // 2])
                        break
                    if self._take("corrupt"):
                        data = b"\xff garbage \x00" + data[10:]
                target.sendall(data)
        with self._lock:
            self._open -= {source, target}
        _drop(source)
        _drop(target)

    def _take(self, kind: str) -> bool:
        with self._lock:
            left = getattr(self.weather, kind)
            setattr(self.weather, kind, max(0, left - 1))
            return bool(left)


def _drop(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
