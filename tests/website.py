"""An HTTP server of the tests' own, answered by a thread that ends with the block, whatever happens in it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer

#: Seconds after which the thread sees that it is to end.
_POLL = 0.01


@contextmanager
def served(server: ThreadingHTTPServer) -> Iterator[str]:
    """Let a server answer in this block; yield its address without a slash at the end."""
    thread = threading.Thread(target=server.serve_forever, args=(_POLL,))
    with server:
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


class Quiet:
    """Before a handler's own class: it does not print what it is asked."""

    def log_message(self, *_: object) -> None:
        """Print nothing."""
